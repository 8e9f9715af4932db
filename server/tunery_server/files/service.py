"""A client's wishes on files."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from tunery_server.errors import InvalidRequest, NotFound
from tunery_server.files.dataset import count_examples
from tunery_server.files.store import FileStore
from tunery_server.ids import new_id
from tunery_server.records.files import FileRecords
from tunery_server.records.idempotency import Sending
from tunery_server.records.rows import File, Page

FINE_TUNE = "fine-tune"
RESULTS = "fine-tune-results"
BATCH = "batch"
BATCH_OUTPUT = "batch_output"

InUse = Callable[[str, str], bool]
"""Whether something that has not ended reads a file, by its tenant and its id."""


class FileService:
    """Files of one tenant at a time. Blocking."""

    def __init__(
        self,
        *,
        files: FileRecords,
        store: FileStore,
        in_use: Sequence[InUse],
        clock: Callable[[], float],
    ) -> None:
        self._files = files
        self._store = store
        self._in_use = in_use
        self._clock = clock

    def create(
        self,
        tenant_id: str,
        *,
        filename: str,
        purpose: str,
        chunks: Iterable[bytes],
        expires_after_s: int | None = None,
        sending: Sending | None = None,
    ) -> File:
        """Store a file; a dataset is checked first and refused whole when a line is wrong.

        A repeat of a request (``sending``) gets the file that the first one made, and its own bytes
        are dropped.
        """
        file = self.store(
            tenant_id,
            filename=filename,
            purpose=purpose,
            chunks=chunks,
            expires_after_s=expires_after_s,
        )
        return self._registered(file, sending or Sending())

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
        file_id, now = new_id("file-"), self._clock()
        with self._store.incoming(file_id, chunks) as (path, stored):
            return File(
                id=file_id,
                tenant_id=tenant_id,
                filename=filename,
                purpose=purpose,
                bytes=stored.bytes,
                sha256=stored.sha256,
                created_at=now,
                expires_at=now + expires_after_s if expires_after_s else None,
                examples=count_examples(path) if purpose == FINE_TUNE else None,
            )

    def discard(self, file: File) -> None:
        """Remove the bytes of a file that got no record."""
        self._store.delete(file.id)

    def get(self, tenant_id: str, file_id: str) -> File:
        """The file. Raises NotFound."""
        self._drop_expired()
        file = self._files.get(tenant_id, file_id)
        if file is None:
            raise NotFound(f"No file with id {file_id!r}.", param="file_id")
        return file

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
        page = self._files.list(
            tenant_id, purpose=purpose, after=after, limit=limit, ascending=ascending
        )
        if page is None:
            raise InvalidRequest("'after' is not the id of a file.", param="after")
        return page

    def content(self, tenant_id: str, file_id: str) -> tuple[File, Iterator[bytes]]:
        """The file and its bytes in pieces."""
        file = self.get(tenant_id, file_id)
        return file, self._store.read(file.id)

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
        self._store.delete(file.id)

    def _registered(self, file: File, sending: Sending) -> File:
        self._drop_expired()
        kept_s = file.expires_at and round(file.expires_at - file.created_at)
        content = [file.sha256, file.filename, file.purpose, kept_s]
        submission = sending.of("files", content, tenant_id=file.tenant_id, now=file.created_at)
        standing = self._files.add(file, submission)
        if standing == file.id:
            return file
        self._store.delete(file.id)
        return self.get(file.tenant_id, standing)

    def _drop_expired(self) -> None:
        """Remove what has outlived its time, but for files that are still read."""
        for file in self._files.expired(self._clock()):
            if not self._is_in_use(file):
                self._files.delete(file.tenant_id, file.id)
                self._store.delete(file.id)

    def _is_in_use(self, file: File) -> bool:
        return any(reads(file.tenant_id, file.id) for reads in self._in_use)
