"""Where files lie, as the settings say."""

from tunery_server.config import Settings
from tunery_server.files.blobs import BlobStore
from tunery_server.files.store import FileStore


def file_storage(settings: Settings, *, max_bytes: int | None = None) -> BlobStore:
    """The place of all files; ``max_bytes`` of one are by default those of the setting."""
    most = settings.max_file_bytes if max_bytes is None else max_bytes
    return FileStore(settings.home / "files", max_bytes=most)
