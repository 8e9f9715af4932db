"""The bytes of files, in one folder, under names that the server makes."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tunery_adapters.durable import sync
from tunery_server.errors import StorageFull, TooLarge
from tunery_server.ids import new_id

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Stored:
    """What was written."""

    bytes: int
    sha256: str


class Incoming:
    """A file on its way in, under a temporary name. Blocking; one thread at a time.

    Leaving its context removes it unless it was kept. Raises StorageFull when the disk is.
    """

    def __init__(self, file: BinaryIO, *, max_bytes: int) -> None:
        self.path = Path(file.name)
        self._file = file
        self._max_bytes = max_bytes
        self._bytes = 0
        self._digest = hashlib.sha256()

    def __enter__(self) -> "Incoming":
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def write(self, chunk: bytes) -> None:
        """Append. Raises TooLarge, before anything beyond the limit is written."""
        self._bytes += len(chunk)
        if self._bytes > self._max_bytes:
            raise TooLarge(f"More than the {self._max_bytes} bytes that are allowed.")
        with told_when_full():
            self._file.write(chunk)
        self._digest.update(chunk)

    def seal(self) -> Stored:
        """Nothing more comes: bring it to the disk and say what it is."""
        with told_when_full():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return Stored(self._bytes, self._digest.hexdigest())

    def keep(self, name: str) -> None:
        """Give a sealed file its name in the folder, in place of one that has it."""
        with told_when_full():
            self.path.replace(self.path.with_name(name))
            sync(self.path.parent)

    def discard(self) -> None:
        """Remove it; does nothing to one that was kept."""
        with contextlib.suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)


class FileStore:
    """A folder of immutable files. A file is complete or not there."""

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes

    def path(self, file_id: str) -> Path:
        """Where a file lies; it exists once it was kept under that name."""
        return self._root / file_id

    def incoming(self) -> Incoming:
        """A new file of at most ``max_bytes``."""
        with told_when_full():
            self._root.mkdir(parents=True, exist_ok=True)
            file = (self._root / f".{new_id('')}.incoming").open("wb")
        return Incoming(file, max_bytes=self._max_bytes)

    def read(self, file_id: str, chunk_bytes: int = 2**18) -> Iterator[bytes]:
        """The file in pieces; deleting it meanwhile does no harm. Raises FileNotFoundError."""
        return _pieces(self.path(file_id).open("rb"), chunk_bytes)

    def delete(self, file_id: str) -> None:
        """Remove a file; does nothing when it is gone."""
        self.path(file_id).unlink(missing_ok=True)

    def untouched_since(self, moment: float) -> tuple[str, ...]:
        """Names in the folder, temporary ones, too, last written to before a Unix time."""
        if not self._root.is_dir():
            return ()
        with os.scandir(self._root) as entries:
            return tuple(entry.name for entry in entries if _written_at(entry) < moment)


def _pieces(file: BinaryIO, chunk_bytes: int) -> Iterator[bytes]:
    with file:
        while chunk := file.read(chunk_bytes):
            yield chunk


def _written_at(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return float("inf")


@contextlib.contextmanager
def told_when_full() -> Iterator[None]:
    """Raises StorageFull for what the disk says when it has no room."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("There is no room left for this file.") from error
        raise
