"""A tar of a few files, made as it is read: the same bytes every time, and a length known before.

Owners, times and modes are constants. Weights do not compress, so nothing is compressed.
"""

import io
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MODE = 0o644
_CHUNK_BYTES = 1 << 18
_END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file; ``content`` is read from where it stands."""

    name: str
    size: int
    content: BinaryIO


class Tarball:
    """An archive of open files. Closing it closes them."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self.size = sum(map(_padded, entries)) + len(_END)
        """In bytes."""

    @classmethod
    def of(cls, files: Sequence[Path], texts: Sequence[tuple[str, str]]) -> "Tarball":
        """Of files, opened here, and of texts by their names. Raises FileNotFoundError."""
        with ExitStack() as stack:
            opened = [stack.enter_context(file.open("rb")) for file in files]
            entries = [
                Entry(file.name, file.stat().st_size, content)
                for file, content in zip(files, opened, strict=True)
            ]
            stack.pop_all()
        return cls([*entries, *(_text(name, text.encode()) for name, text in texts)])

    def chunks(self) -> Iterator[bytes]:
        """The archive from its first byte to its last, once; then it is closed."""
        try:
            for entry in self._entries:
                yield _header(entry)
                while chunk := entry.content.read(_CHUNK_BYTES):
                    yield chunk
                yield bytes(-entry.size % tarfile.BLOCKSIZE)
            yield _END
        finally:
            self.close()

    def close(self) -> None:
        """Close the files."""
        for entry in self._entries:
            entry.content.close()


def _text(name: str, content: bytes) -> Entry:
    return Entry(name, len(content), io.BytesIO(content))


def _header(entry: Entry) -> bytes:
    info = tarfile.TarInfo(entry.name)
    info.size, info.mode = entry.size, _MODE
    return info.tobuf(format=tarfile.USTAR_FORMAT)


def _padded(entry: Entry) -> int:
    return tarfile.BLOCKSIZE + entry.size + -entry.size % tarfile.BLOCKSIZE
