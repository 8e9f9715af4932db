"""The bytes of files in an object storage, read through a cache on this machine.

An object's key is ``files/<file id>/<sha256>``: what a file has to be is known before it is
fetched, whatever the storage itself keeps beside an object.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from tunery_server.errors import StorageUnavailable
from tunery_server.files.cache import Cache
from tunery_server.files.incoming import Incoming, Stored
from tunery_server.files.s3 import Bucket
from tunery_server.files.store import pieces
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_FOLDER = "files"


class ObjectStore:
    """A BlobStore in a bucket. A file is complete or not there."""

    def __init__(self, bucket: Bucket, cache: Cache, *, max_bytes: int) -> None:
        self._bucket = bucket
        self._cache = cache
        self._max_bytes = max_bytes

    def path(self, file_id: str) -> Path:
        """A copy on this machine, checked against its hash; nothing is there without a file."""
        for key in self._keys(file_id):
            return self._fetched(key)
        return self._cache.root / file_id

    def incoming(self) -> Incoming:
        """A new file of at most ``max_bytes``, on this machine until it is kept."""
        return Incoming.under(self._cache.root, max_bytes=self._max_bytes, place=self._put)

    def read(self, file_id: str) -> Iterator[bytes]:
        """The file in pieces; deleting it meanwhile does no harm. Raises FileNotFoundError."""
        return pieces(self.path(file_id).open("rb"))

    def delete(self, file_id: str) -> None:
        """Remove a file; does nothing when it is gone."""
        for key in self._keys(file_id):
            self._bucket.delete(key)

    def untouched_since(self, moment: float) -> tuple[str, ...]:
        """Ids of the files that are there since before a Unix time."""
        found = self._bucket.below(_FOLDER)
        return tuple(item.key.split("/")[1] for item in found if item.written_at < moment)

    def _keys(self, file_id: str) -> tuple[str, ...]:
        return tuple(item.key for item in self._bucket.below(f"{_FOLDER}/{file_id}"))

    def _put(self, file: Path, file_id: str, stored: Stored) -> None:
        self._bucket.put(f"{_FOLDER}/{file_id}/{stored.sha256}", file)
        self._cache.add(file, stored.sha256)

    def _fetched(self, key: str) -> Path:
        sha256 = key.rpartition("/")[2]
        return self._cache.find(sha256) or self._fetch(key, sha256)

    def _fetch(self, key: str, sha256: str) -> Path:
        def into_cache(file: Path, _: str, stored: Stored) -> None:
            if stored.sha256 != sha256:
                log.error("an object is not what was stored", key=key, sha256=stored.sha256)
                raise StorageUnavailable("The storage gave something else than the file.")
            self._cache.add(file, sha256)

        # What was stored once may have been allowed to be larger than what is stored from now on.
        with Incoming.under(self._cache.root, max_bytes=sys.maxsize, place=into_cache) as incoming:
            for piece in self._bucket.read(key):
                incoming.write(piece)
            incoming.seal()
            incoming.keep(sha256)
        return self._cache.root / sha256
