"""New events of the jobs that somebody watches, from the record, whoever wrote them.

One look at the record serves all watchers of this process: a query for how far the watched jobs
are, and one for each job that has news. What a look finds is kept until the next one; a watcher
that is further behind reads for itself, a page at a time. So nothing piles up for a slow one.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

from tunery_server.errors import ServerStopping
from tunery_server.jobs.transitions import FINAL
from tunery_server.records.job_history import JobHistory, Standing
from tunery_server.records.rows import JobEvent, JobStatus
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

PACE_S = 0.25
"""Between two looks: half of it is what an event waits on average."""
HEARTBEAT_S = 5.0
"""A watcher of a silent job hears of that so often."""

_RETRY_S = 2.0
"""Between looks while the record does not answer."""
_PAGE = 100

Events = tuple[JobEvent, ...]
_GONE = Standing(JobStatus.CANCELLED, 0)
"""Of a job that is no longer in the record."""


class _Watched:
    """One job: how far it was at the last look, and what that look found."""

    def __init__(self) -> None:
        self.watchers = 0
        self.standing: Standing | None = None
        self.found: Events = ()
        self.changed = asyncio.Event()

    def tell(self, standing: Standing, found: Events) -> None:
        """Wake the watchers if anything is new."""
        if standing != self.standing:
            self.standing, self.found = standing, found
            self.wake()

    def wake(self) -> None:
        """Let every watcher look again."""
        self.changed.set()
        self.changed = asyncio.Event()

    def known_after(self, sequence: int) -> Events:
        """What the last look found after an event, if that is all there is right after it."""
        if not self.found or self.found[0].sequence > sequence + 1:
            return ()
        return tuple(event for event in self.found if event.sequence > sequence)


class Feed:
    """Hands the events of jobs to whoever watches them, in the order of the record."""

    def __init__(
        self,
        history: JobHistory,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._history = history
        self._pause = pause
        self._heartbeat_s = heartbeat_s
        self._watched: dict[str, _Watched] = {}
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    async def follow(self, job_id: str, sequence: int) -> AsyncGenerator[Events, None]:
        """The events after ``sequence`` as they come, oldest first; ends after the job's last one.

        Nothing new for a while is an empty tuple. Raises ServerStopping.
        """
        with self._watching(job_id) as job:
            while True:
                changed, standing = job.changed, job.standing
                if self._closed:
                    raise ServerStopping("The server restarts; go on from the last event.")
                if standing is None or standing.newest > sequence:
                    events = await self._after(job, job_id, sequence)
                    if events:
                        sequence = events[-1].sequence
                        yield events
                        continue
                if standing is not None and standing.status in FINAL:
                    return
                if not await self._news(changed):
                    yield ()

    def close(self) -> None:
        """End every watch, and let none begin."""
        self._closed = True
        for job in self._watched.values():
            job.wake()

    @contextmanager
    def _watching(self, job_id: str) -> Iterator[_Watched]:
        job = self._watched.setdefault(job_id, _Watched())
        job.watchers += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            yield job
        finally:
            job.watchers -= 1
            if not job.watchers:
                del self._watched[job_id]

    async def _after(self, job: _Watched, job_id: str, sequence: int) -> Events:
        return job.known_after(sequence) or await asyncio.to_thread(
            self._history.events_after, job_id, sequence, limit=_PAGE
        )

    async def _news(self, changed: asyncio.Event) -> bool:
        """Whether anything changed before it was time for a sign of life."""
        try:
            async with asyncio.timeout(self._heartbeat_s):
                await changed.wait()
        except TimeoutError:
            return False
        return True

    async def _look(self) -> None:
        """Look as long as anybody watches; a record that does not answer is asked again."""
        while self._watched:
            known = {job_id: job.standing for job_id, job in self._watched.items()}
            try:
                news = await asyncio.to_thread(self._read, known)
            except Exception:
                log.exception("could not look for events")
                await self._pause(_RETRY_S)
                continue
            for job_id in self._watched.keys() & news.keys():
                self._watched[job_id].tell(*news[job_id])
            await self._pause(PACE_S)

    def _read(self, known: Mapping[str, Standing | None]) -> dict[str, tuple[Standing, Events]]:
        standings = self._history.standings(known)
        news: dict[str, tuple[Standing, Events]] = {}
        for job_id, before in known.items():
            standing = standings.get(job_id, _GONE)
            found: Events = ()
            if before is not None and standing.newest > before.newest:
                found = self._history.events_after(job_id, before.newest, limit=_PAGE)
            news[job_id] = standing, found
        return news
