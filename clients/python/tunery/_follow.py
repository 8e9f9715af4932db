"""Following one fine-tuning job by its stream of events, until it ends."""

from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import aclosing, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
from openai import APIConnectionError, AsyncOpenAI, OpenAI
from openai.types.fine_tuning import FineTuningJob

from ._errors import FineTuneTimeout, StreamInterrupted, TuneryError
from ._fine_tune import TERMINAL, model_of
from ._job_events import EventReader, JobEvent
from ._patience import AsyncClock, Clock, Patience, outlasting, outlasting_async

_SILENCE_S = 20.0
"""A server gives a sign of life every five seconds; one that is silent for so long is away."""


@dataclass(frozen=True)
class JobUpdate:
    """What came of a job at once. ``events`` are those not seen before, oldest first."""

    job: FineTuningJob
    """As it was at the last event that is no metrics, or at the last sign of life since."""
    events: tuple[JobEvent, ...]

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


class _Course:
    """How far a job was followed, over all streams that it takes."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self._job: FineTuningJob | None = None
        self._seen: str | None = None

    def request(self) -> dict[str, Any]:
        """Arguments of ``list_events`` for the stream of what is new."""
        return {
            "fine_tuning_job_id": self.job_id,
            "extra_query": {"stream": "true"},
            "extra_headers": {"Last-Event-ID": self._seen} if self._seen else {},
            "timeout": _SILENCE_S,
        }

    def is_moved_by(self, events: tuple[JobEvent, ...]) -> bool:
        """Whether the job has to be read anew: not for numbers alone."""
        return self._job is None or not events or any(event.type != "metrics" for event in events)

    def update(self, events: tuple[JobEvent, ...], job: FineTuningJob | None) -> JobUpdate:
        """Note what came."""
        self._job = job or self._job
        self._seen = events[-1].id if events else self._seen
        assert self._job is not None  # noqa: S101 - the first events move it
        return JobUpdate(self._job, events)


def follow(
    client: OpenAI, job_id: str, timeout_s: float | None, clock: Clock, patience: Patience
) -> Generator[JobUpdate, None, None]:
    """Yield what comes of a job, to its last event; the last update has its final status.

    Raises:
        FineTuneTimeout: at the first update after ``timeout_s``.
        openai.APIError, StreamInterrupted: the server refused, or was away for too long.
    """
    began, course = clock.monotonic(), _Course(job_id)
    with closing(outlasting(partial(_stream, client, course), clock, patience)) as updates:
        for update in updates:
            yield update
            _require_time(update, clock.monotonic() - began, timeout_s)


def _stream(client: OpenAI, course: _Course) -> Generator[JobUpdate, None, None]:
    jobs, reader = client.fine_tuning.jobs, EventReader()
    with (
        jobs.with_streaming_response.list_events(**course.request()) as answer,
        _loss_as_outage(answer.http_request, answer.headers),
    ):
        for piece in answer.iter_bytes():
            events = reader.read(piece)
            moved = reader.ended or course.is_moved_by(events)
            yield course.update(events, jobs.retrieve(course.job_id) if moved else None)
            if reader.ended:
                return
    raise _cut()


async def follow_async(
    client: AsyncOpenAI, job_id: str, timeout_s: float | None, clock: AsyncClock, patience: Patience
) -> AsyncGenerator[JobUpdate, None]:
    """As follow, for a coroutine."""
    began, course = clock.monotonic(), _Course(job_id)
    looks = partial(_stream_async, client, course)
    async with aclosing(outlasting_async(looks, clock, patience)) as updates:
        async for update in updates:
            yield update
            _require_time(update, clock.monotonic() - began, timeout_s)


async def _stream_async(client: AsyncOpenAI, course: _Course) -> AsyncGenerator[JobUpdate, None]:
    jobs, reader = client.fine_tuning.jobs, EventReader()
    async with jobs.with_streaming_response.list_events(**course.request()) as answer:
        with _loss_as_outage(answer.http_request, answer.headers):
            async for piece in answer.iter_bytes():
                events = reader.read(piece)
                moved = reader.ended or course.is_moved_by(events)
                job = await jobs.retrieve(course.job_id) if moved else None
                yield course.update(events, job)
                if reader.ended:
                    return
    raise _cut()


@contextmanager
def _loss_as_outage(request: httpx2.Request, headers: Mapping[str, str]) -> Iterator[None]:
    """Reading a stream, of which the openai client wraps no errors."""
    if not headers.get("content-type", "").startswith("text/event-stream"):
        raise TuneryError("what answers at the base URL streams no events of jobs")
    try:
        yield
    except httpx2.RequestError as error:
        raise APIConnectionError(request=request) from error


def _cut() -> StreamInterrupted:
    return StreamInterrupted("the server ended the stream of events before the job ended")


def _require_time(update: JobUpdate, passed_s: float, timeout_s: float | None) -> None:
    if timeout_s is not None and passed_s >= timeout_s and not update.ended:
        raise FineTuneTimeout(update.job, timeout_s)
