"""Waiting for something on a server that may go away for a while."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Protocol, TypeVar

from openai import APIConnectionError, InternalServerError, RateLimitError

from ._errors import StreamInterrupted

T = TypeVar("T")

_OUTAGE = (APIConnectionError, InternalServerError, RateLimitError, StreamInterrupted)
"""What a server gives while it restarts or is crowded. A job outlives that; so does the wait."""


class Clock(Protocol):
    """Monotonic time in seconds, and a way to let it pass."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""

    def sleep(self, seconds: float, /) -> None:
        """Block for so long."""


class AsyncClock(Protocol):
    """As Clock, for a coroutine."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""

    async def sleep(self, seconds: float, /) -> None:
        """Wait for so long."""


class LoopClock:
    """The running event loop's time."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

    async def sleep(self, seconds: float, /) -> None:
        """Wait for so long."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True)
class Patience:
    """How to bear with a server that is away, in seconds."""

    outage_s: float = 120.0
    """How long it may be away in one go."""
    retry_s: float = 1.0
    """Between two tries."""


class _Absence:
    """How long the server has been away."""

    def __init__(self, patience: Patience, now: float) -> None:
        self._patience = patience
        self._answered = now

    def ended(self, now: float) -> None:
        self._answered = now

    def is_bearable(self, now: float) -> bool:
        return now - self._answered < self._patience.outage_s


def outlasting(
    looks: Callable[[], Generator[T, None, None]], clock: Clock, patience: Patience
) -> Generator[T, None, None]:
    """All that ``looks`` finds; after an outage it is called anew, and must know where it was.

    Raises:
        openai.APIError, StreamInterrupted: the server refused, or was away for ``outage_s``.
    """
    absence = _Absence(patience, clock.monotonic())
    while True:
        try:
            with closing(looks()) as found:
                for item in found:
                    absence.ended(clock.monotonic())
                    yield item
        except _OUTAGE:
            if not absence.is_bearable(clock.monotonic()):
                raise
        else:
            return
        clock.sleep(patience.retry_s)


async def outlasting_async(
    looks: Callable[[], AsyncGenerator[T, None]], clock: AsyncClock, patience: Patience
) -> AsyncGenerator[T, None]:
    """As outlasting, for a coroutine."""
    absence = _Absence(patience, clock.monotonic())
    while True:
        try:
            async with aclosing(looks()) as found:
                async for item in found:
                    absence.ended(clock.monotonic())
                    yield item
        except _OUTAGE:
            if not absence.is_bearable(clock.monotonic()):
                raise
        else:
            return
        await clock.sleep(patience.retry_s)
