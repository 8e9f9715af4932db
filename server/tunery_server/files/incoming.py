"""A file on its way in, under a temporary name on this machine."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tunery_server.errors import StorageFull, TooLarge
from tunery_server.ids import new_id

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Stored:
    """What was written."""

    bytes: int
    sha256: str


Place = Callable[[Path, str, Stored], None]
"""Takes a whole file from where it was written to where it lies, under a name."""


class Incoming:
    """Blocking; one thread at a time.

    Leaving its context removes it unless it was kept. Raises StorageFull when the disk is.
    """

    def __init__(self, file: BinaryIO, *, max_bytes: int, place: Place) -> None:
        self.path = Path(file.name)
        self._file = file
        self._max_bytes = max_bytes
        self._place = place
        self._bytes = 0
        self._digest = hashlib.sha256()

    @classmethod
    def under(cls, folder: Path, *, max_bytes: int, place: Place) -> "Incoming":
        """A new one of at most ``max_bytes`` in a folder, which is made if need be."""
        with told_when_full():
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / f".{new_id('')}.incoming").open("wb")
        return cls(file, max_bytes=max_bytes, place=place)

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
        return self._stored()

    def keep(self, name: str) -> None:
        """Give a sealed file its name, in place of one that has it."""
        with told_when_full():
            self._place(self.path, name, self._stored())

    def discard(self) -> None:
        """Remove it; does nothing to one that was kept."""
        with contextlib.suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)

    def _stored(self) -> Stored:
        return Stored(self._bytes, self._digest.hexdigest())


@contextlib.contextmanager
def told_when_full() -> Iterator[None]:
    """Raises StorageFull for what the disk says when it has no room."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("There is no room left for this file.") from error
        raise
