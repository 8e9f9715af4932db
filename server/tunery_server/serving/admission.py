"""A bounded number of requests inside the engine, a bounded line before it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tunery_server.errors import Overloaded
from tunery_server.telemetry import metrics


class Admission:
    """First come, first served; refuses at once when the line is full."""

    def __init__(self, *, places: int, line: int) -> None:
        self._semaphore = asyncio.Semaphore(places)
        self._line = line
        self._waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place in the engine. Raises Overloaded."""
        if self._semaphore.locked() and self._waiting >= self._line:
            metrics.REQUESTS_REFUSED.inc()
            raise Overloaded("All places are taken and the line is full. Try again shortly.")
        self._waiting += 1
        with metrics.REQUESTS_WAITING.track_inprogress():
            try:
                await self._semaphore.acquire()
            finally:
                self._waiting -= 1
        try:
            with metrics.REQUESTS_RUNNING.track_inprogress():
                yield
        finally:
            self._semaphore.release()
