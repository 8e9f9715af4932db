"""Whether a published folder holds what its manifest says."""

import hashlib
from pathlib import Path

from pydantic import ValidationError

from tunery_adapters.errors import AdapterDamagedError, AdapterNotFoundError
from tunery_adapters.manifest import MANIFEST, FileRecord, Manifest


def record_of(file: Path) -> FileRecord:
    """A file's SHA-256 and size. Raises OSError."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileRecord(sha256=digest, bytes=file.stat().st_size)


def manifest_in(folder: Path) -> Manifest:
    """What lies beside the weights. Raises AdapterNotFoundError, AdapterDamagedError."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise AdapterNotFoundError("the adapter's files are gone") from error
    except (ValidationError, OSError) as error:
        raise AdapterDamagedError("the manifest is damaged") from error


def verified(folder: Path) -> Manifest:
    """Hash every file against the manifest; blocking.

    Raises AdapterDamagedError naming the file, or AdapterNotFoundError.
    """
    manifest = manifest_in(folder)
    for name, record in manifest.files.items():
        if not _is(folder / name, record):
            raise AdapterDamagedError(
                f"{name} of {manifest.adapter_id} v{manifest.version} is damaged"
            )
    return manifest


def _is(file: Path, record: FileRecord) -> bool:
    """Another size is told without reading."""
    try:
        return file.stat().st_size == record.bytes and record_of(file) == record
    except OSError:
        return False
