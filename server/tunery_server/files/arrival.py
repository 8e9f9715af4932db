"""What a file is to be, and the look at its bytes that makes it one."""

from dataclasses import dataclass

from tunery_server.files.dataset import read_dataset
from tunery_server.files.incoming import Incoming
from tunery_server.ids import new_id
from tunery_server.records.rows import File

_FINE_TUNE = "fine-tune"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """What somebody says of a file that is coming."""

    tenant_id: str
    filename: str
    purpose: str
    expires_after_s: int | None = None


def arrived(incoming: Incoming, new: NewFile, *, now: float) -> File:
    """Check what has come and put it in its place; its record is still to be written.

    Raises InvalidRequest for a dataset with a wrong line, and StorageFull.
    """
    stored = incoming.seal()
    contents = read_dataset(incoming.path) if new.purpose == _FINE_TUNE else None
    file = File(
        id=new_id("file-"),
        tenant_id=new.tenant_id,
        filename=new.filename,
        purpose=new.purpose,
        bytes=stored.bytes,
        sha256=stored.sha256,
        created_at=now,
        expires_at=now + new.expires_after_s if new.expires_after_s else None,
        examples=contents.examples if contents else None,
        format=contents.format if contents else None,
        longest_line=contents.longest_line if contents else None,
    )
    incoming.keep(file.id)
    return file
