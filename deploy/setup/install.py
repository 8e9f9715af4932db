"""Set Tunery up in this checkout: virtual environment, locked packages, base model.

``make setup`` runs this with the standard library alone. What is done already is not done again:
the second run looks at a few files and ends, without a network. No step needs root, and none
writes outside the checkout, ``TUNERY_HOME`` and the package cache.

Settings, all by environment: ``DEVICE`` (cpu or cuda; else recognised), ``TUNERY_HOME`` (data
folder), ``TUNERY_MODEL`` (a base model of one's own: the bundled one is then not unpacked).
"""

from __future__ import annotations

import fcntl
import os
import platform
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
PYTHON = (3, 11)
EXIT_INTERRUPTED = 130


def main() -> int:
    """Set up what is missing. Returns the exit status."""
    unfit = _unfit_machine()
    if unfit:
        return _stopped(unfit)
    # Only now: a Python too old for these modules has been told so by now.
    from console import SetupError  # noqa: PLC0415
    from steps import set_up  # noqa: PLC0415

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _alone() as lock:
            set_up(ROOT, lock)
    except SetupError as error:
        return _stopped(str(error))
    except KeyboardInterrupt:
        print("\nSet-up was interrupted. Run it again: it repairs what is half done.")
        return EXIT_INTERRUPTED
    return 0


def _unfit_machine() -> str | None:
    """Say why this machine cannot run Tunery, or None."""
    if sys.version_info[:2] != PYTHON:
        return (
            f"Tunery needs Python 3.11, and this is {platform.python_version()}.\n"
            "On Debian 12: apt-get install python3.11 python3.11-venv\n"
            "Another place for it: make PYTHON=/path/to/python3.11 setup"
        )
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return f"Tunery runs on Linux on x86-64, not on {sys.platform} on {platform.machine()}."
    return None


@contextmanager
def _alone() -> Iterator[int]:
    """Hold a lock on the checkout, so that two runs at once do the work once. Yields it."""
    lock = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another set-up of this checkout is at work; waiting for it.", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield lock
    finally:
        os.close(lock)


def _stopped(reason: str) -> int:
    print(f"\nTunery's set-up stopped.\n{reason}", file=sys.stderr)
    return 1


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
