"""``/v1/files``."""

from typing import Literal, get_args

from pydantic import ConfigDict, Field

from tunery_server.gateway.protocol.base import Answer, Deleted, ListedBetween, Request, seconds
from tunery_server.records.rows import File

UploadPurpose = Literal["fine-tune", "batch", "assistants", "user_data", "evals", "vision"]
FilePurpose = Literal[UploadPurpose, "batch_output", "fine-tune-results"]
UPLOAD_PURPOSES: tuple[str, ...] = get_args(UploadPurpose)
MIN_EXPIRY_S = 3600
MAX_EXPIRY_S = 2_592_000
MAX_FILENAME = 255
ANCHOR, SECONDS = "expires_after[anchor]", "expires_after[seconds]"
"""How a form says when its file expires."""


def plain_name(name: str) -> str:
    """A file's name without the folders in front of it. Raises ValueError."""
    plain = name.rpartition("/")[2].strip()
    if not plain or len(plain) > MAX_FILENAME or not plain.isprintable():
        raise ValueError(f"needs a printable name of at most {MAX_FILENAME} characters")
    return plain


class FileForm(Request):
    """The form of an upload, for /openapi.json; the route reads it as a stream."""

    model_config = ConfigDict(
        json_schema_extra={"dependentRequired": {ANCHOR: [SECONDS], SECONDS: [ANCHOR]}}
    )

    file: bytes
    purpose: UploadPurpose
    anchor: Literal["created_at"] = Field(default="created_at", alias=ANCHOR)
    seconds: int = Field(default=MAX_EXPIRY_S, alias=SECONDS, ge=MIN_EXPIRY_S, le=MAX_EXPIRY_S)


class FileObject(Answer):
    """A file."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: FilePurpose
    status: Literal["processed"] = "processed"
    status_details: None = None

    @classmethod
    def of(cls, file: File) -> "FileObject":
        """From its record."""
        return cls(
            id=file.id,
            bytes=file.bytes,
            created_at=int(file.created_at),
            expires_at=seconds(file.expires_at),
            filename=file.filename,
            purpose=file.purpose,
        )


class FileDeleted(Deleted):
    """The answer to a DELETE."""

    object: Literal["file"] = "file"


class FileList(ListedBetween[FileObject]):
    """A page of files."""
