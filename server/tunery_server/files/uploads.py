"""A client's wishes on uploads: files that come in parts."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tunery_server.errors import InvalidRequest, NotFound, TooLarge
from tunery_server.files.arrival import NewFile
from tunery_server.files.blobs import BlobStore
from tunery_server.files.incoming import Incoming
from tunery_server.files.service import FileService
from tunery_server.files.store import FileStore
from tunery_server.files.sweeper import orphans
from tunery_server.ids import new_id
from tunery_server.records.idempotency import Sending
from tunery_server.records.quota import QuotaOf
from tunery_server.records.rows import File, Upload, UploadPart, UploadStatus
from tunery_server.records.uploads import UploadRecords

LIFETIME_S = 3600.0
"""Of a pending upload, as at OpenAI."""
MAX_PART_BYTES = 64 * 2**20
MAX_PARTS = 10_000
REMEMBERED_S = 86_400.0
"""How long after its time an upload that has ended answers a repeated call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUpload(NewFile):
    """A file that is going to come in parts."""

    bytes: int
    mime_type: str


class UploadService:
    """Uploads of one tenant at a time. Blocking.

    A part lies in the folder of its upload under its hash, so that a part which is sent again takes
    no more room, and does not count again.
    """

    def __init__(
        self,
        *,
        uploads: UploadRecords,
        files: FileService,
        store: BlobStore,
        root: Path,
        quota: QuotaOf,
        max_file_bytes: int,
        clock: Callable[[], float],
    ) -> None:
        self._uploads = uploads
        self._files = files
        self._store = store
        self._root = root
        self._quota_of = quota
        self._max_file_bytes = max_file_bytes
        self._clock = clock

    def create(self, new: NewUpload, sending: Sending | None = None) -> Upload:
        """Begin an upload; a repeat of a request (``sending``) gets the one that it began.

        Raises TooLarge and QuotaExceeded.
        """
        if new.bytes > self._max_file_bytes:
            raise TooLarge(f"A file has at most {self._max_file_bytes} bytes.", param="bytes")
        self._expire()
        now, content = self._clock(), asdict(new)
        upload = Upload(
            id=new_id("upload_"), created_at=now, expires_at=now + LIFETIME_S, **content
        )
        submission = (sending or Sending()).of("uploads", content, tenant_id=new.tenant_id, now=now)
        quota = self._quota_of(new.tenant_id)
        return self._get(new.tenant_id, self._uploads.add(upload, submission, quota))

    def incoming(self, tenant_id: str, upload_id: str) -> Incoming:
        """Where a part goes while it comes. Raises NotFound and InvalidRequest."""
        return self._folder(self._pending(tenant_id, upload_id)).incoming()

    def add_part(self, tenant_id: str, upload_id: str, incoming: Incoming) -> UploadPart:
        """Add a part that has come whole. Raises InvalidRequest.

        Its record comes first: a crash before the bytes are in place leaves a part that nobody was
        told of.
        """
        upload, stored = self._pending(tenant_id, upload_id), incoming.seal()
        part = UploadPart(
            id=new_id("part_"),
            upload_id=upload.id,
            bytes=stored.bytes,
            sha256=stored.sha256,
            created_at=self._clock(),
        )
        if not self._uploads.add_part(part, partial(_require_fit, upload)):
            raise _ended(self._get(tenant_id, upload_id))
        incoming.keep(part.sha256)
        return part

    def complete(
        self, tenant_id: str, upload_id: str, part_ids: Sequence[str], md5: str | None = None
    ) -> tuple[Upload, File | None]:
        """Make the file. Doing it again with the same parts gives the same answer.

        Raises InvalidRequest, and what a file in one piece would raise. The file is None when it
        was deleted since.
        """
        upload, chosen = self._get(tenant_id, upload_id), tuple(part_ids)
        if upload.status is UploadStatus.PENDING:
            try:
                self._assemble(upload, chosen, md5)
            except (InvalidRequest, FileNotFoundError):
                if self._get(tenant_id, upload_id).status is UploadStatus.PENDING:
                    raise  # else another call ended the upload and took its parts away
            upload = self._get(tenant_id, upload_id)
        if upload.file_id is None:
            raise _ended(upload)
        if upload.part_ids != chosen:
            raise InvalidRequest("The upload was completed with other parts.", param="part_ids")
        return upload, self._files.find(tenant_id, upload.file_id)

    def cancel(self, tenant_id: str, upload_id: str) -> Upload:
        """End an upload without a file; doing it again changes nothing. Raises InvalidRequest."""
        upload = self._get(tenant_id, upload_id)
        self._end(upload, UploadStatus.CANCELLED)
        upload = self._get(tenant_id, upload_id)
        if upload.status is not UploadStatus.CANCELLED:
            raise _ended(upload)
        return upload

    def sweep(self) -> None:
        """Expire what is overdue; remove parts of what has ended; forget what ended long ago."""
        self._expire()
        folders = FileStore(self._root, max_bytes=0)
        for upload_id in orphans(folders, self._uploads.pending, self._clock()):
            self._remove(upload_id)
        self._uploads.forget_ended(self._clock() - REMEMBERED_S)

    def _assemble(self, upload: Upload, part_ids: tuple[str, ...], md5: str | None) -> None:
        """One file of the parts. Of several calls at once, one makes it."""
        parts, folder = self._chosen(upload, part_ids), self._folder(upload)
        digest = hashlib.md5(usedforsecurity=False)
        with self._store.incoming() as incoming:
            for part in parts:
                for chunk in folder.read(part.sha256):
                    digest.update(chunk)
                    incoming.write(chunk)
            if md5 is not None and md5.lower() != digest.hexdigest():
                raise InvalidRequest(
                    "The parts have another MD5.", code="checksum_mismatch", param="md5"
                )
            new = NewFile(
                tenant_id=upload.tenant_id,
                filename=upload.filename,
                purpose=upload.purpose,
                expires_after_s=upload.expires_after_s,
            )
            self._files.admit(incoming, new, partial(self._complete, upload, part_ids))
        self._remove(upload.id)

    def _complete(self, upload: Upload, part_ids: tuple[str, ...], file: File) -> str:
        standing = self._uploads.complete(upload.id, part_ids, file)
        if standing is None:
            raise _ended(self._get(upload.tenant_id, upload.id))
        return standing

    def _chosen(self, upload: Upload, part_ids: tuple[str, ...]) -> list[UploadPart]:
        parts = {part.id: part for part in self._uploads.parts(upload.id)}
        if len(set(part_ids)) < len(part_ids):
            raise InvalidRequest("A part is named twice.", param="part_ids")
        if unknown := [part_id for part_id in part_ids if part_id not in parts]:
            raise InvalidRequest(f"The upload has no part {unknown[0][:64]!r}.", param="part_ids")
        total = sum(parts[part_id].bytes for part_id in part_ids)
        if total != upload.bytes:
            raise InvalidRequest(
                f"The parts have {total} bytes, the upload was to have {upload.bytes}.",
                param="part_ids",
            )
        return [parts[part_id] for part_id in part_ids]

    def _get(self, tenant_id: str, upload_id: str) -> Upload:
        upload = self._uploads.get(tenant_id, upload_id)
        if upload is None:
            raise NotFound(f"No upload with id {upload_id!r}.", param="upload_id")
        if upload.status is UploadStatus.PENDING and upload.expires_at <= self._clock():
            self._end(upload, UploadStatus.EXPIRED)
            return self._get(tenant_id, upload_id)
        return upload

    def _pending(self, tenant_id: str, upload_id: str) -> Upload:
        upload = self._get(tenant_id, upload_id)
        if upload.status is not UploadStatus.PENDING:
            raise _ended(upload)
        return upload

    def _expire(self) -> None:
        for upload in self._uploads.overdue(self._clock()):
            self._end(upload, UploadStatus.EXPIRED)

    def _end(self, upload: Upload, status: UploadStatus) -> None:
        if self._uploads.end(upload.id, status):
            self._remove(upload.id)

    def _folder(self, upload: Upload) -> FileStore:
        return FileStore(self._root / upload.id, max_bytes=min(upload.bytes, MAX_PART_BYTES))

    def _remove(self, upload_id: str) -> None:
        shutil.rmtree(self._root / upload_id, ignore_errors=True)


def _require_fit(upload: Upload, parts: int, total: int) -> None:
    if parts >= MAX_PARTS:
        raise InvalidRequest(f"An upload has at most {MAX_PARTS} parts.", param="data")
    if total > upload.bytes:
        raise InvalidRequest(
            f"The parts have more than the {upload.bytes} bytes that the upload was to have.",
            param="data",
        )


def _ended(upload: Upload) -> InvalidRequest:
    return InvalidRequest(f"The upload is {upload.status}.", code="upload_ended", param="upload_id")
