"""The bytes of files, in one folder, under names that the server makes."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tunery_server.errors import StorageFull, TooLarge


@dataclass(frozen=True, slots=True)
class Stored:
    """What was written."""

    bytes: int
    sha256: str


class FileStore:
    """A folder of immutable files. A file is complete or not there."""

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes

    def path(self, file_id: str) -> Path:
        """Where a file lies; it exists once :meth:`keep` has returned."""
        return self._root / file_id

    @contextmanager
    def incoming(self, file_id: str, chunks: Iterable[bytes]) -> Iterator[tuple[Path, Stored]]:
        """Write ``chunks`` to a temporary file and hand it over for a look.

        Leaving normally puts the file in its place; an exception removes it. Raises TooLarge past
        the limit and StorageFull when the disk is.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        temporary = self._root / f".{file_id}.incoming"
        try:
            stored = self._write(temporary, chunks)
            yield temporary, stored
            temporary.replace(self.path(file_id))
            _sync_folder(self._root)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise StorageFull("There is no room left for this file.") from error
            raise
        finally:
            temporary.unlink(missing_ok=True)

    def read(self, file_id: str, chunk_bytes: int = 2**18) -> Iterator[bytes]:
        """The file in pieces."""
        with self.path(file_id).open("rb") as file:
            while chunk := file.read(chunk_bytes):
                yield chunk

    def delete(self, file_id: str) -> None:
        """Remove a file; does nothing when it is gone."""
        self.path(file_id).unlink(missing_ok=True)

    def _write(self, path: Path, chunks: Iterable[bytes]) -> Stored:
        digest, size = hashlib.sha256(), 0
        with path.open("wb") as file:
            for chunk in chunks:
                size += len(chunk)
                if size > self._max_bytes:
                    raise TooLarge(
                        f"The file is larger than {self._max_bytes} bytes.", param="file"
                    )
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        return Stored(size, digest.hexdigest())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
