"""Following one fine-tuning job by polling, until it ends."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Protocol

from openai import APIConnectionError, AsyncOpenAI, InternalServerError, OpenAI, RateLimitError
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from ._errors import FineTuneTimeout
from ._fine_tune import TERMINAL, model_of

_PAGE = 100
_OUTAGE = (APIConnectionError, InternalServerError, RateLimitError)
"""What a server gives while it restarts or is crowded. The job outlives that; so does the wait."""


@dataclass(frozen=True)
class JobUpdate:
    """One look at a job. ``events`` are those not seen before, oldest first."""

    job: FineTuningJob
    events: tuple[FineTuningJobEvent, ...]

    @property
    def ended(self) -> bool:
        """Whether the job has its final status."""
        return self.job.status in TERMINAL

    def result(self) -> str:
        """Name of the model that an ended job made.

        Raises:
            FineTuneFailed, FineTuneCancelled: it made none.
        """
        return model_of(self.job)


@dataclass(frozen=True)
class Pace:
    """How often to look and when to give up, in seconds."""

    poll_interval_s: float = 1.0
    timeout_s: float | None = None
    outage_s: float = 120.0
    """How long the server may be unreachable in one go."""


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


class _Patience:
    """When a wait began and when the server last answered."""

    def __init__(self, pace: Pace, now: float) -> None:
        self._pace = pace
        self._began = now
        self._answered = now

    def answered(self, job: FineTuningJob, now: float) -> None:
        self._answered = now
        timeout_s = self._pace.timeout_s
        if timeout_s is not None and now - self._began >= timeout_s:
            raise FineTuneTimeout(job, timeout_s)

    def tolerates(self, now: float) -> bool:
        return now - self._answered < self._pace.outage_s


def follow(client: OpenAI, job_id: str, pace: Pace, clock: Clock) -> Iterator[JobUpdate]:
    """Yield an update at each look until the job ends.

    The job is read before its events, so that the last update holds every event.

    Raises:
        FineTuneTimeout: after ``timeout_s``.
        openai.APIError: the server refused, or was unreachable for ``outage_s``.
    """
    patience = _Patience(pace, clock.monotonic())
    cursor: str | None = None
    while True:
        try:
            job = client.fine_tuning.jobs.retrieve(job_id)
            events = _unseen(client, job_id, cursor)
        except _OUTAGE:
            if not patience.tolerates(clock.monotonic()):
                raise
        else:
            cursor = events[-1].id if events else cursor
            update = JobUpdate(job, events)
            yield update
            if update.ended:
                return
            patience.answered(job, clock.monotonic())
        clock.sleep(pace.poll_interval_s)


def _unseen(client: OpenAI, job_id: str, cursor: str | None) -> tuple[FineTuningJobEvent, ...]:
    newest_first = client.fine_tuning.jobs.list_events(job_id, limit=_PAGE)
    return tuple(itertools.takewhile(lambda event: event.id != cursor, newest_first))[::-1]


async def follow_async(
    client: AsyncOpenAI, job_id: str, pace: Pace, clock: AsyncClock
) -> AsyncIterator[JobUpdate]:
    """As follow, for a coroutine."""
    patience = _Patience(pace, clock.monotonic())
    cursor: str | None = None
    while True:
        try:
            job = await client.fine_tuning.jobs.retrieve(job_id)
            events = await _unseen_async(client, job_id, cursor)
        except _OUTAGE:
            if not patience.tolerates(clock.monotonic()):
                raise
        else:
            cursor = events[-1].id if events else cursor
            update = JobUpdate(job, events)
            yield update
            if update.ended:
                return
            patience.answered(job, clock.monotonic())
        await clock.sleep(pace.poll_interval_s)


async def _unseen_async(
    client: AsyncOpenAI, job_id: str, cursor: str | None
) -> tuple[FineTuningJobEvent, ...]:
    newest_first: list[FineTuningJobEvent] = []
    async for event in client.fine_tuning.jobs.list_events(job_id, limit=_PAGE):
        if event.id == cursor:
            break
        newest_first.append(event)
    return tuple(reversed(newest_first))
