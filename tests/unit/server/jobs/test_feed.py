"""What a job's watchers get, on a real record that others write to."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing

import pytest

from tests.rows import NOW, a_job
from tunery_server.errors import Overloaded, RateLimited, ServerStopping
from tunery_server.ids import new_id
from tunery_server.jobs.feed import Events, Feed
from tunery_server.jobs.watchers import Watchers
from tunery_server.records.database import Database
from tunery_server.records.job_history import JobHistory, Note, Standing
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import JobEvent, JobStatus

FINAL_NOTE = "The job was cancelled"


class CountedHistory(JobHistory):
    """Counts what it is asked, and fails as often as it is told to."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.pages = 0
        self.looks = 0
        self.failures = 0

    def events_after(self, job_id: str, sequence: int, *, limit: int) -> tuple[JobEvent, ...]:
        self.pages += 1
        return super().events_after(job_id, sequence, limit=limit)

    def standings(self, job_ids: Collection[str]) -> dict[str, Standing]:
        self.looks += 1
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        return super().standings(job_ids)


class Job:
    """A job of the record, and those who write to it."""

    def __init__(self, database: Database) -> None:
        self.id = JobRecords(database).add(a_job())
        self._jobs = JobRecords(database)
        self._history = JobHistory(database)

    def say(self, *messages: str) -> None:
        for message in messages:
            self._history.add_event(
                self.id, event_id=new_id("ftevent-"), created_at=NOW, message=message
            )

    def cancel(self) -> None:
        note = Note(id=new_id("ftevent-"), created_at=NOW, message=FINAL_NOTE)
        self._jobs.change(
            self.id,
            allowed={JobStatus.QUEUED},
            note=note,
            status=JobStatus.CANCELLED,
            finished_at=NOW,
        )


@pytest.fixture
def job(database: Database) -> Job:
    return Job(database)


@pytest.fixture
def history(database: Database) -> CountedHistory:
    return CountedHistory(database)


@pytest.fixture
def feed(history: CountedHistory) -> Feed:
    return Feed(history, pause=lambda _: asyncio.sleep(0.001), heartbeat_s=60)


def messages(events: Events) -> list[str]:
    return [event.message for event in events]


async def watched(feed: Feed, job: Job, sequence: int = 0) -> list[str]:
    async with aclosing(feed.follow(job.id, sequence)) as batches:
        return [message async for events in batches for message in messages(events)]


async def test_history_comes_first_then_what_is_written_and_the_end_last(
    feed: Feed, job: Job
) -> None:
    job.say("a", "b")
    async with aclosing(feed.follow(job.id, 0)) as batches:
        assert messages(await anext(batches)) == ["a", "b"]
        job.say("c")
        assert messages(await anext(batches)) == ["c"]
        job.cancel()
        assert messages(await anext(batches)) == [FINAL_NOTE]
        with pytest.raises(StopAsyncIteration):
            await anext(batches)


async def test_a_watch_goes_on_after_any_event_without_a_gap_or_a_double(
    feed: Feed, job: Job
) -> None:
    numbers = [str(number) for number in range(1, 251)]
    job.say(*numbers)
    job.cancel()
    for sequence in (0, 1, 99, 100, 101, 200, 250, 251):
        assert await watched(feed, job, sequence) == [*numbers, FINAL_NOTE][sequence:]


async def test_a_job_that_has_ended_without_news_ends_the_watch(feed: Feed, job: Job) -> None:
    job.cancel()
    assert await watched(feed, job, 1) == []


async def test_two_jobs_are_not_mixed_up(feed: Feed, job: Job, database: Database) -> None:
    other = Job(database)
    both = asyncio.gather(watched(feed, job), watched(feed, other))
    for one in (job, other):
        one.say(one.id)
        await asyncio.sleep(0.01)
        one.cancel()
    assert await both == [[job.id, FINAL_NOTE], [other.id, FINAL_NOTE]]


async def test_a_hundred_watchers_cost_what_one_does(
    feed: Feed, job: Job, history: CountedHistory
) -> None:
    """Once they have caught up, an event is read once for all of them."""
    job.say("a")
    streams = [feed.follow(job.id, 1) for _ in range(100)]
    waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
    while history.looks < 3:  # noqa: ASYNC110 - threads count
        await asyncio.sleep(0.001)
    before = history.pages
    job.say("b")
    assert {tuple(messages(await got)) for got in waiting} == {("b",)}
    assert history.pages == before + 1
    for stream in streams:
        await stream.aclose()


async def test_nothing_piles_up_for_a_watcher_that_takes_nothing(feed: Feed, job: Job) -> None:
    """It gets a page when it comes back, and then the next."""
    async with aclosing(feed.follow(job.id, 0)) as slow:
        job.say("first")
        await anext(slow)
        numbers = [str(number) for number in range(350)]
        job.say(*numbers)
        job.cancel()
        await asyncio.sleep(0.05)
        batches = [messages(events) async for events in slow]
    assert [message for batch in batches for message in batch] == [*numbers, FINAL_NOTE]
    assert max(map(len, batches)) == 100


async def test_silence_is_an_empty_batch(history: CountedHistory, job: Job) -> None:
    feed = Feed(history, heartbeat_s=0.01)
    async with aclosing(feed.follow(job.id, 0)) as batches:
        assert [await anext(batches) for _ in range(3)] == [(), (), ()]


async def test_a_record_that_does_not_answer_is_asked_again(
    feed: Feed, job: Job, history: CountedHistory
) -> None:
    history.failures = 3
    watching = asyncio.ensure_future(watched(feed, job))
    while history.failures:  # noqa: ASYNC110 - threads count
        await asyncio.sleep(0.001)
    job.cancel()
    assert await watching == [FINAL_NOTE]


async def test_nobody_looks_when_nobody_watches(
    feed: Feed, job: Job, history: CountedHistory
) -> None:
    watching = asyncio.ensure_future(watched(feed, job))
    while history.looks < 2:  # noqa: ASYNC110 - threads count
        await asyncio.sleep(0.001)
    watching.cancel()
    await asyncio.wait({watching})
    await asyncio.sleep(0.02)
    looks = history.looks
    await asyncio.sleep(0.02)
    assert history.looks == looks
    job.cancel()
    assert await watched(feed, job) == [FINAL_NOTE]


async def test_a_server_that_stops_ends_every_watch(feed: Feed, job: Job) -> None:
    watching = [asyncio.ensure_future(watched(feed, job)) for _ in range(3)]
    await asyncio.sleep(0.01)
    feed.close()
    for task in watching:
        with pytest.raises(ServerStopping):
            await task
    with pytest.raises(ServerStopping):
        await watched(feed, job)


async def test_a_job_that_is_gone_ends_the_watch(feed: Feed, database: Database) -> None:
    absent = Job(database)
    absent.id = "ftjob-absent"
    assert await watched(feed, absent) == []


def test_watchers_are_bounded_for_each_tenant_and_in_all() -> None:
    watchers = Watchers(limit=3, per_tenant=2)
    with watchers.place("acme"), watchers.place("acme"):
        with pytest.raises(RateLimited) as refused, watchers.place("acme"):
            pass
        assert refused.value.retry_after_s > 1
        with watchers.place("rival"), pytest.raises(Overloaded), watchers.place("third"):
            pass
        with watchers.place("rival"):
            pass
    with watchers.place("acme"):
        pass


@pytest.fixture(autouse=True)
async def nothing_left_behind(feed: Feed) -> AsyncIterator[None]:
    yield
    assert not feed._watched
