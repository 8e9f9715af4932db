"""Folders that are whole or not there.

``complete.json`` is written last and holds the hash of every other file, so that a folder which a
crash or a full disk left behind, or that has changed since, is never taken for what it was.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from tunery_adapters.durable import sync

_COMPLETE = "complete.json"


class DamagedError(Exception):
    """A sealed folder is not what was written. The message names a file in it, and no path."""


def settle(staged: Path, folder: Path) -> None:
    """Write the hashes of all files into ``staged``, then move it to ``folder``."""
    files = {str(file.relative_to(staged)): _sha256(file) for file in _files(staged)}
    (staged / _COMPLETE).write_text(json.dumps(files, sort_keys=True))
    move_synced(staged, folder)


def move_synced(staged: Path, folder: Path) -> None:
    """Sync everything in ``staged`` and rename it to ``folder``, replacing what is there."""
    for path in (*staged.rglob("*"), staged):
        sync(path)
    shutil.rmtree(folder, ignore_errors=True)
    staged.rename(folder)
    sync(folder.parent)


def check(folder: Path) -> None:
    """Raise DamagedError unless every file of a sealed folder is as it was written."""
    for name, digest in _hashes(folder).items():
        try:
            found = _sha256(folder / name)
        except OSError as error:
            raise DamagedError(f"{name} cannot be read") from error
        if found != digest:
            raise DamagedError(f"{name} has changed")


def _hashes(folder: Path) -> dict[str, str]:
    try:
        hashes: dict[str, str] = json.loads((folder / _COMPLETE).read_bytes())
    except (OSError, ValueError) as error:
        raise DamagedError(f"{_COMPLETE} cannot be read") from error
    return hashes


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
