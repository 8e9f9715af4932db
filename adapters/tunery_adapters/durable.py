"""Bringing what was written to the disk itself, so that a power cut does not take it back."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Flush a file's bytes, or a folder's entries: a rename lasts once its folder is synced."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
