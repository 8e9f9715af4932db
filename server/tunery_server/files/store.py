"""The bytes of files, in one folder, under names that the server makes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tunery_adapters.durable import sync
from tunery_server.files.incoming import Incoming, Stored


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
        return Incoming.under(self._root, max_bytes=self._max_bytes, place=renamed)

    def read(self, file_id: str, chunk_bytes: int = 2**18) -> Iterator[bytes]:
        """The file in pieces; deleting it meanwhile does no harm. Raises FileNotFoundError."""
        return pieces(self.path(file_id).open("rb"), chunk_bytes)

    def delete(self, file_id: str) -> None:
        """Remove a file; does nothing when it is gone."""
        self.path(file_id).unlink(missing_ok=True)

    def untouched_since(self, moment: float) -> tuple[str, ...]:
        """Names in the folder, temporary ones, too, last written to before a Unix time."""
        if not self._root.is_dir():
            return ()
        with os.scandir(self._root) as entries:
            return tuple(entry.name for entry in entries if _written_at(entry) < moment)


def renamed(file: Path, name: str, _: Stored) -> None:
    """Give a file its name in the folder where it was written."""
    file.replace(file.with_name(name))
    sync(file.parent)


def pieces(file: BinaryIO, chunk_bytes: int = 2**18) -> Iterator[bytes]:
    """An open file in pieces; closes it."""
    with file:
        while chunk := file.read(chunk_bytes):
            yield chunk


def _written_at(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return float("inf")
