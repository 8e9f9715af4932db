"""The results of a batch that has not ended: append-only files, a folder for each attempt.

A gateway that lost its lease may not know it yet and go on writing. So an attempt begins with a
copy of what the one before had written, and writes to that alone: whatever comes late goes to files
that nobody reads any more. A power cut can take the last lines; they run again.
"""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tunery_server.batches.results import Result, Tally, read

OUTPUT, ERRORS = "output.jsonl", "errors.jsonl"
_CHUNK_BYTES = 2**18


class Part:
    """The results of one attempt. Blocking; may be used from several threads."""

    def __init__(self, folder: Path) -> None:
        self.done: set[str] = set()
        """The ``custom_id`` of every line that has its result."""
        self._folder = folder
        self._tally = Tally()
        self._lock = threading.Lock()
        self._files: dict[str, BinaryIO] = {}
        self._closed = False

    @classmethod
    def resumed(cls, folder: Path) -> "Part":
        """Counts what the folder holds already."""
        part = cls(folder)
        for name in (OUTPUT, ERRORS):
            with (folder / name).open("rb") as lines:
                for line in lines:
                    part._count(read(line))
        return part

    def append(self, result: Result) -> None:
        """Write one result, unless the part was closed or the line has one already."""
        with self._lock:
            if self._closed or result.custom_id in self.done:
                return
            file = self._open(OUTPUT if result.good else ERRORS)
            file.write(result.text)
            file.flush()
            self._count(result)

    def progress(self) -> dict[str, object]:
        """Counts and usage, as the record has them."""
        with self._lock:
            return self._tally.values()

    def close(self) -> None:
        """Take no further result."""
        with self._lock:
            self._closed = True
            for file in self._files.values():
                file.close()

    def has(self, name: str) -> bool:
        """True when there is a line in :data:`OUTPUT` or :data:`ERRORS`."""
        return (self._folder / name).stat().st_size > 0

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of one of them."""
        with (self._folder / name).open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    def _count(self, result: Result) -> None:
        self.done.add(result.custom_id)
        self._tally.add(result.good, result.usage)

    def _open(self, name: str) -> BinaryIO:
        if name not in self._files:
            self._files[name] = (self._folder / name).open("ab")
        return self._files[name]


class PartStore:
    """A folder for each batch that has not ended. Blocking."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def begin(self, batch_id: str, attempt: int) -> Part:
        """The part of a new attempt, with the results of the last one before it."""
        folder = self._root / batch_id / str(attempt)
        before = self._last(batch_id, below=attempt)
        making = folder.with_name(f".{attempt}")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for name in (OUTPUT, ERRORS):
            _copy_lines(before / name if before else None, making / name)
        making.rename(folder)
        return Part.resumed(folder)

    def drop(self, batch_id: str) -> None:
        """Remove all that a batch left here."""
        shutil.rmtree(self._root / batch_id, ignore_errors=True)

    def batch_ids(self) -> frozenset[str]:
        """Batches that left something here."""
        return frozenset(folder.name for folder in self._root.glob("*"))

    def _last(self, batch_id: str, *, below: int) -> Path | None:
        folders = (self._root / batch_id).glob("[0-9]*")
        earlier = [folder for folder in folders if int(folder.name) < below]
        return max(earlier, key=lambda folder: int(folder.name), default=None)


def _copy_lines(source: Path | None, target: Path) -> None:
    """Copy whole lines; the last one may have been torn when its writer died."""
    with target.open("wb") as file:
        if source is None:
            return
        with source.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    file.write(line)
