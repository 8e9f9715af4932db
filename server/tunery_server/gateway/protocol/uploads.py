"""``/v1/uploads``."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from tunery_server.files.uploads import MAX_PARTS, NewUpload
from tunery_server.gateway.protocol.base import Answer, Request
from tunery_server.gateway.protocol.files import (
    MAX_EXPIRY_S,
    MIN_EXPIRY_S,
    FileObject,
    UploadPurpose,
    plain_name,
)
from tunery_server.records.rows import File, Upload, UploadPart


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable")
    return text


_PartId = Annotated[str, StringConstraints(max_length=128)]
_MimeType = Annotated[
    str, StringConstraints(min_length=1, max_length=255), AfterValidator(_printable)
]


class ExpiresAfter(Request):
    """How long a file is kept."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=MIN_EXPIRY_S, le=MAX_EXPIRY_S)


class CreateUpload(Request):
    """What is going to come."""

    bytes: int = Field(ge=0)
    filename: Annotated[str, AfterValidator(plain_name)]
    mime_type: _MimeType
    purpose: UploadPurpose
    expires_after: ExpiresAfter | None = None

    def new(self, tenant_id: str) -> NewUpload:
        """What the upload service takes."""
        return NewUpload(
            tenant_id=tenant_id,
            filename=self.filename,
            purpose=self.purpose,
            expires_after_s=self.expires_after.seconds if self.expires_after else None,
            bytes=self.bytes,
            mime_type=self.mime_type,
        )


class PartForm(Request):
    """The form of a part, for /openapi.json; the route reads it as a stream."""

    data: bytes


class CompleteUpload(Request):
    """The parts in the order in which they make the file."""

    part_ids: list[_PartId] = Field(max_length=MAX_PARTS)
    md5: str | None = Field(default=None, max_length=64)


class UploadObject(Answer):
    """An upload, and the file that it became."""

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: FileObject | None

    @classmethod
    def of(cls, upload: Upload, file: File | None = None) -> "UploadObject":
        """From its record, and its file's."""
        return cls(
            id=upload.id,
            bytes=upload.bytes,
            created_at=int(upload.created_at),
            expires_at=int(upload.expires_at),
            filename=upload.filename,
            purpose=upload.purpose,
            status=upload.status.value,
            file=FileObject.of(file) if file is not None else None,
        )


class UploadPartObject(Answer):
    """A part."""

    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str

    @classmethod
    def of(cls, part: UploadPart) -> "UploadPartObject":
        """From its record."""
        return cls(id=part.id, created_at=int(part.created_at), upload_id=part.upload_id)
