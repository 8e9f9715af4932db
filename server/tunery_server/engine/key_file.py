"""The key between us and the engine."""

from pathlib import Path


class KeyFile:
    """It is read anew whenever another file lies there: every start of the engine writes one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._key = ""

    def read(self) -> str:
        """The key of this moment. Raises OSError before the engine's first start."""
        about = self._path.stat()
        there = (about.st_ino, about.st_mtime_ns)
        if there != self._seen:
            self._key, self._seen = self._path.read_text(), there
        return self._key
