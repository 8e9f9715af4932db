"""A bounded number of requests inside the engine, a bounded line before it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

from tunery_server.errors import Overloaded
from tunery_server.telemetry import metrics


class Admission:
    """First come, first served; refuses at once when the line is full.

    Background requests come after all others: they get a place only while nobody else waits for
    one, and leave the last free place to whoever comes next. Their line has no bound of its own,
    for they are the server's: it starts no more of them than it means to.
    """

    def __init__(self, *, places: int, line: int) -> None:
        self._free = places
        self._kept_free = min(1, places - 1)
        self._line = line
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._background: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def place(self, *, background: bool = False) -> AsyncIterator[None]:
        """Hold a place in the engine. Raises Overloaded, but never in the background."""
        if not background and not self._free and len(self._waiting) >= self._line:
            metrics.REQUESTS_REFUSED.inc()
            raise Overloaded("All places are taken and the line is full. Try again shortly.")
        with _counted_as_waiting(background):
            await self._wait(self._background if background else self._waiting)
        try:
            with metrics.REQUESTS_RUNNING.track_inprogress():
                yield
        finally:
            self._leave()

    async def _wait(self, line: deque[asyncio.Future[None]]) -> None:
        turn = asyncio.get_running_loop().create_future()
        line.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the place was granted, and nobody is there to take it
                self._leave()
            elif turn in line:
                line.remove(turn)
            raise

    def _admit(self) -> None:
        while self._waiting and self._free:
            self._grant(self._waiting)
        while self._background and self._free > self._kept_free:
            self._grant(self._background)

    def _grant(self, line: deque[asyncio.Future[None]]) -> None:
        turn = line.popleft()
        if not turn.cancelled():
            self._free -= 1
            turn.set_result(None)

    def _leave(self) -> None:
        self._free += 1
        self._admit()


def _counted_as_waiting(background: bool) -> AbstractContextManager[object]:
    """Whoever watches this gauge wants to know of clients that wait."""
    return nullcontext() if background else metrics.REQUESTS_WAITING.track_inprogress()
