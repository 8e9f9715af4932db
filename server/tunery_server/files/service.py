"""A client's wishes on files."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from tunery_adapters import fault
from tunery_adapters.fault import Point
from tunery_server.errors import InvalidRequest, NotFound, StorageUnavailable
from tunery_server.files.arrival import NewFile, arrived
from tunery_server.files.blobs import BlobStore
from tunery_server.files.incoming import Incoming
from tunery_server.files.sweeper import orphans
from tunery_server.records.files import FileRecords
from tunery_server.records.idempotency import Sending
from tunery_server.records.quota import QuotaOf
from tunery_server.records.rows import File, Page

RESULTS = "fine-tune-results"
BATCH = "batch"
BATCH_OUTPUT = "batch_output"

InUse = Callable[[str, str], bool]
"""Whether something that has not ended reads a file, by its tenant and its id."""

Register = Callable[[File], str]
"""Writes a file's record; returns the id of the file that stands, when that is another one."""


class FileService:
    """Files of one tenant at a time. Blocking."""

    def __init__(
        self,
        *,
        files: FileRecords,
        store: BlobStore,
        in_use: Sequence[InUse],
        quota: QuotaOf | None = None,
        clock: Callable[[], float],
    ) -> None:
        self._files = files
        self._store = store
        self._in_use = in_use
        self._quota_of = quota
        self._clock = clock

    def create(
        self,
        tenant_id: str,
        *,
        filename: str,
        purpose: str,
        chunks: Iterable[bytes],
        expires_after_s: int | None = None,
    ) -> File:
        """Store a file that the server itself made; no quota stands against it."""
        file = self.store(
            tenant_id,
            filename=filename,
            purpose=purpose,
            chunks=chunks,
            expires_after_s=expires_after_s,
        )
        self._registered(file, self._files.add)
        return file

    def store(
        self,
        tenant_id: str,
        *,
        filename: str,
        purpose: str,
        chunks: Iterable[bytes],
        expires_after_s: int | None = None,
    ) -> File:
        """As :meth:`create`, but for the record, without which nobody sees the file.

        For files that have to appear together with something else; :meth:`discard` takes it back.
        """
        new = NewFile(
            tenant_id=tenant_id, filename=filename, purpose=purpose, expires_after_s=expires_after_s
        )
        with self._store.incoming() as incoming:
            for chunk in chunks:
                incoming.write(chunk)
            return arrived(incoming, new, now=self._clock())

    def discard(self, file: File) -> None:
        """Remove the bytes of a file that has no record; the sweep does when storage is away."""
        with contextlib.suppress(StorageUnavailable):
            self._store.delete(file.id)

    def incoming(self, tenant_id: str) -> Incoming:
        """Where a client's upload goes while it comes. Raises QuotaExceeded when there is no room.

        Whether there is room for its bytes is known when they are all there.
        """
        if self._quota_of is not None:
            self._drop_expired()
            self._files.require_room(tenant_id, self._quota_of(tenant_id))
        return self._store.incoming()

    def receive(self, incoming: Incoming, new: NewFile, sending: Sending | None = None) -> File:
        """Store an upload that has come whole.

        A repeat of a request (``sending``) gets the file that the first one made, and its own bytes
        are dropped. Raises QuotaExceeded and what :meth:`admit` raises.
        """

        def register(file: File) -> str:
            content = [file.sha256, file.filename, file.purpose, new.expires_after_s]
            submission = (sending or Sending()).of(
                "files", content, tenant_id=file.tenant_id, now=file.created_at
            )
            quota = self._quota_of(file.tenant_id) if self._quota_of else None
            return self._files.add(file, submission, quota)

        return self.admit(incoming, new, register)

    def admit(self, incoming: Incoming, new: NewFile, register: Register) -> File:
        """Check what came, put it in its place, and let ``register`` write its record.

        A dataset is refused whole when a line is wrong. Raises InvalidRequest, StorageFull, and
        what ``register`` raises.
        """
        file = arrived(incoming, new, now=self._clock())
        fault.point(Point.FILE_KEPT)
        standing = self._registered(file, register)
        return file if standing == file.id else self.get(new.tenant_id, standing)

    def get(self, tenant_id: str, file_id: str) -> File:
        """The file. Raises NotFound."""
        file = self.find(tenant_id, file_id)
        if file is None:
            raise _absent(file_id)
        return file

    def find(self, tenant_id: str, file_id: str) -> File | None:
        """The file, or None when this tenant has none with that id."""
        self._drop_expired()
        return self._files.get(tenant_id, file_id)

    def list(
        self,
        tenant_id: str,
        *,
        purpose: str | None,
        after: str | None,
        limit: int,
        ascending: bool,
    ) -> Page[File]:
        """A page of files. Raises InvalidRequest when ``after`` names no file."""
        self._drop_expired()
        return self._files.list(
            tenant_id, purpose=purpose, after=after, limit=limit, ascending=ascending
        )

    def content(self, tenant_id: str, file_id: str) -> tuple[File, Iterator[bytes]]:
        """The file and its bytes in pieces, which a deletion meanwhile does not cut short."""
        file = self.get(tenant_id, file_id)
        try:
            return file, self._store.read(file.id)
        except FileNotFoundError:  # deleted between the look and the opening
            raise _absent(file_id) from None

    def delete(self, tenant_id: str, file_id: str) -> None:
        """Remove a file. Raises InvalidRequest while something that has not ended reads it."""
        file = self.get(tenant_id, file_id)
        if self._is_in_use(file):
            raise InvalidRequest(
                "A fine-tuning job or a batch that has not ended uses this file.",
                code="file_in_use",
                param="file_id",
            )
        self._files.delete(tenant_id, file.id)
        self.discard(file)

    def sweep(self) -> None:
        """Remove what has expired, and bytes that no record names."""
        self._drop_expired()
        for name in orphans(self._store, self._files.known, self._clock()):
            self._store.delete(name)

    def _registered(self, file: File, register: Register) -> str:
        """Bytes whose record was not written do not stay."""
        standing = None
        try:
            self._drop_expired()
            standing = register(file)
        finally:
            if standing != file.id:
                self.discard(file)
        return standing

    def _drop_expired(self) -> None:
        """Remove what has outlived its time, but for files that are still read."""
        for file in self._files.expired(self._clock()):
            if not self._is_in_use(file):
                self._files.delete(file.tenant_id, file.id, expired=True)
                self.discard(file)

    def _is_in_use(self, file: File) -> bool:
        return any(reads(file.tenant_id, file.id) for reads in self._in_use)


def _absent(file_id: str) -> NotFound:
    return NotFound(f"No file with id {file_id!r}.", param="file_id")
