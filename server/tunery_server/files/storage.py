"""Where files lie, as the settings say."""

import time

from tunery_server.config import Settings
from tunery_server.errors import ConfigError
from tunery_server.files.blobs import BlobStore
from tunery_server.files.cache import Cache
from tunery_server.files.store import FileStore


def file_storage(settings: Settings, *, max_bytes: int | None = None) -> BlobStore:
    """The place of all files; ``max_bytes`` of one are by default those of the setting.

    Raises ConfigError when the library for an object storage is not there.
    """
    most = settings.max_file_bytes if max_bytes is None else max_bytes
    if settings.storage is None:
        return FileStore(settings.home / "files", max_bytes=most)
    return _object_store(settings, settings.storage, most)


def _object_store(settings: Settings, url: str, max_bytes: int) -> BlobStore:
    try:
        from tunery_server.files.object_store import ObjectStore  # noqa: PLC0415 - an extra
        from tunery_server.files.s3 import Bucket  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError("TUNERY_STORAGE needs the extra s3 (tunery-server[s3]).") from error
    cache = Cache(settings.home / "cache", max_bytes=settings.storage_cache_bytes, clock=time.time)
    return ObjectStore(Bucket(url), cache, max_bytes=max_bytes)
