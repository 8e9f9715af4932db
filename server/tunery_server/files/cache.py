"""Copies of stored files on this machine, each under its SHA-256."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tunery_adapters.durable import sync

IN_USE_S = 2 * 3600.0
"""What was asked for since then may be about to be opened, by another process, too."""


class Cache:
    """A folder with a bound in bytes; what was used least recently goes first. Blocking.

    The bound gives way to what is in use. Several processes may share the folder. What is open
    when it goes can be read to its end.
    """

    def __init__(self, root: Path, *, max_bytes: int, clock: Callable[[], float]) -> None:
        self.root = root
        self._max_bytes = max_bytes
        self._clock = clock

    def find(self, sha256: str) -> Path | None:
        """The copy, whose bytes are looked at each time; one that is damaged is removed."""
        path = self.root / sha256
        try:
            with path.open("rb") as file:
                whole = hashlib.file_digest(file, "sha256").hexdigest() == sha256
            if not whole:
                path.unlink()
                return None
            self._touch(path)
        except FileNotFoundError:
            return None
        return path

    def add(self, file: Path, sha256: str) -> Path:
        """Take a file of the folder, which has that hash, in; then keep to the bound."""
        path = self.root / sha256
        self._touch(file)
        file.replace(path)
        sync(self.root)
        self._trim()
        return path

    def _touch(self, path: Path) -> None:
        now = self._clock()
        os.utime(path, (now, now))

    def _trim(self) -> None:
        """Remove what is too much, and what a crash has left under a temporary name."""
        entries = sorted(self._entries())
        excess = sum(size for _, size, _ in entries) - self._max_bytes
        for used_at, size, path in entries:
            if used_at >= self._clock() - IN_USE_S:
                return
            if excess > 0 or path.name.startswith("."):
                path.unlink(missing_ok=True)
                excess -= size

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """When it was last used, its bytes, and where it is."""
        for path in self.root.iterdir():
            try:
                found = path.stat()
            except FileNotFoundError:  # another process was faster
                continue
            yield found.st_mtime, found.st_size, path
