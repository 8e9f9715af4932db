"""Reading JSON Lines: one line at a time, whatever the file holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MAX_LINE_BYTES = 2**20
_MAX_BLANK = 1000
"""At the end of a file; more of them are lines, so that reading them is given up."""
_READ_BYTES = MAX_LINE_BYTES + len(b"\r\n")


def read_lines(path: Path) -> Iterator[bytes]:
    """Lines without their end; some blank lines at the very end do not count.

    Of a line longer than :data:`MAX_LINE_BYTES` only the beginning is kept, which is longer, too.
    """
    blank = 0
    with path.open("rb") as file:
        while line := file.readline(_READ_BYTES):
            if len(line) == _READ_BYTES:
                _skip_line(file, line)
            if not line.strip():
                blank += 1
                if blank <= _MAX_BLANK:
                    continue
            yield from (b"" for _ in range(blank))
            blank = 0
            if line.strip():
                yield line.rstrip(b"\r\n")


def _skip_line(file: BinaryIO, piece: bytes) -> None:
    """Go to the end of a line that is too long, so that the next one has its right number."""
    while piece and not piece.endswith(b"\n"):
        piece = file.readline(_READ_BYTES)
