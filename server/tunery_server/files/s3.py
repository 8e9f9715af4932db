"""A bucket of an S3-compatible object storage. The only module that knows its library."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tunery_server.errors import StorageUnavailable
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_PART_BYTES = 8 << 20
"""Of an upload: with S3's most of 10,000 parts, a file may have 80 GB."""
_PARTS_AT_ONCE = 4
"""With the size of a part, what an upload takes of memory: 32 MiB."""
_READ_BYTES = 1 << 20
_CONNECT_S = 5
_REQUEST_S = 300
"""For the whole answer: a large file comes in one."""
_RETRIES = 3
_BACKOFF_S = 1
_RETRY_S = 15


@dataclass(frozen=True, slots=True)
class Object:
    """One in the bucket; ``written_at`` is a Unix time."""

    key: str
    written_at: float


class Bucket:
    """Objects below a prefix. An object is whole or not there. Blocking.

    Who may use it, and where it is, comes from the environment (``AWS_…``). Everything here raises
    StorageUnavailable when the storage does not answer or refuses.
    """

    def __init__(self, url: str) -> None:
        with _told():
            self._store = S3Store.from_url(
                url,
                client_options={
                    "allow_http": True,  # the endpoint says which it is
                    "connect_timeout": timedelta(seconds=_CONNECT_S),
                    "timeout": timedelta(seconds=_REQUEST_S),
                },
                retry_config={
                    "max_retries": _RETRIES,
                    "backoff": {"max_backoff": timedelta(seconds=_BACKOFF_S)},
                    "retry_timeout": timedelta(seconds=_RETRY_S),
                },
            )

    def put(self, key: str, file: Path) -> None:
        """Store a file, in parts when it is large."""
        with _told():
            obstore.put(
                self._store, key, file, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE
            )

    def read(self, key: str) -> Iterator[bytes]:
        """An object in pieces. Raises FileNotFoundError, once the first is asked for."""
        with _told():
            for piece in obstore.get(self._store, key).stream(min_chunk_size=_READ_BYTES):
                yield bytes(piece)

    def below(self, folder: str) -> Iterator[Object]:
        """The objects whose keys begin with ``folder/``."""
        with _told():
            for page in obstore.list(self._store, prefix=folder):
                for meta in page:
                    yield Object(meta["path"], meta["last_modified"].timestamp())

    def delete(self, key: str) -> None:
        """Remove an object; does nothing when it is gone."""
        with _told():
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                return


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        log.warning("object storage failed", reason=str(error).partition("\n")[0])
        raise StorageUnavailable("The storage of files does not answer.") from error
