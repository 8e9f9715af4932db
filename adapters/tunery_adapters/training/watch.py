"""The worker's signs of life, and what a trainer does without them.

A worker that is frozen cannot kill its trainer, and another worker has taken the job by the time
that it wakes. So each byte on the trainer's standard input says that its worker lives; after a
silence the trainer ends by itself, at once and with no checkpoint, before its job's lease runs out.
"""

import logging
import os
import select
from collections.abc import Callable
from threading import Thread

from tunery_adapters.reports import EXIT_ABANDONED

_BYTES = 4096

_log = logging.getLogger(__name__)


def watch(descriptor: int, silence_s: float, end: Callable[[int], object] = os._exit) -> Thread:
    """End the process when ``descriptor`` is closed, or gives nothing for ``silence_s`` seconds.

    The waiting is the kernel's: a byte counts when it comes, however long this process is busy.
    """
    thread = Thread(target=_watch, args=(descriptor, silence_s, end), daemon=True)
    thread.start()
    return thread


def _watch(descriptor: int, silence_s: float, end: Callable[[int], object]) -> None:
    while True:
        ready, _, _ = select.select([descriptor], [], [], silence_s)
        if not ready or not os.read(descriptor, _BYTES):
            break
    _log.error("the worker is silent")
    end(EXIT_ABANDONED)
