"""Removes what a crash left behind, and what has outlived its time."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence

from tunery_server.files.blobs import BlobStore
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

INTERVAL_S = 60.0
MARGIN_S = 2 * 3600.0
"""What was written to since then may belong to a request that is still running.

So much more than a request takes that a clock that is set forward by an hour makes it no orphan.
"""

_BATCH = 500

Known = Callable[[Collection[str]], Collection[str]]
"""Those of the names that the record knows."""


def orphans(store: BlobStore, known: Known, now: float) -> Iterator[str]:
    """Names in a store, not just written to, that the record does not know."""
    names = store.untouched_since(now - MARGIN_S)
    for start in range(0, len(names), _BATCH):
        batch = names[start : start + _BATCH]
        yield from set(batch).difference(known(batch))


class Sweeper:
    """Runs what sweeps, one after the other, at the start and then at a steady pace."""

    def __init__(
        self, sweeps: Sequence[Callable[[], None]], *, interval_s: float = INTERVAL_S
    ) -> None:
        self._sweeps = sweeps
        self._interval_s = interval_s

    async def run(self) -> None:
        """Sweep until cancelled; a sweep that fails is tried again in the next round."""
        while True:
            for sweep in self._sweeps:
                try:
                    await asyncio.to_thread(sweep)
                except Exception:
                    log.exception("could not sweep")
            await asyncio.sleep(self._interval_s)
