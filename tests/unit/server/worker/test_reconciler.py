"""Redis is made to agree with the record, whatever it forgot."""

from collections.abc import Callable

import pytest
import redis

from tests.queues import entry_of, in_line
from tests.rows import NOW, a_job
from tunery_server.jobs.line import Line
from tunery_server.jobs.transitions import FINAL
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Job, JobStatus
from tunery_server.worker.reconciler import Reconciler

from .conftest import StoppedClock


@pytest.fixture
def reconciler(
    jobs: JobRecords, history: JobHistory, queue: RedisQueue, line: Line, clock: StoppedClock
) -> Reconciler:
    return Reconciler(
        jobs=jobs, history=history, queue=queue, line=line, max_attempts=3, clock=clock
    )


@pytest.fixture
def add(jobs: JobRecords) -> Callable[..., Job]:
    def add(**values: object) -> Job:
        job = a_job(**values)
        jobs.add(job)
        return job

    return add


@pytest.mark.promise("P1", fault="FLUSHALL with jobs in line")
def test_waiting_jobs_that_redis_forgot_are_put_in_line_in_order(
    reconciler: Reconciler, queue: RedisQueue, server: "redis.Redis", add: Callable[..., Job]
) -> None:
    made = [add(created_at=NOW + number) for number in (3, 1, 2)]
    for job in made:
        queue.enqueue(entry_of(job))
    server.flushall()
    reconciler.look()
    ids = [job.id for job in made]
    assert in_line(queue, ids) == [ids[1], ids[2], ids[0]]
    reconciler.look()
    assert len(in_line(queue, ids)) == 3


def test_a_claimed_job_that_is_not_yet_running_is_left_alone(
    reconciler: Reconciler, queue: RedisQueue, add: Callable[..., Job]
) -> None:
    job = add()
    queue.enqueue(entry_of(job))
    assert queue.claim(wait_s=0) is not None
    reconciler.look()
    assert in_line(queue, [job.id]) == []


@pytest.mark.promise("P9", fault="FLUSHALL, and the reconciler looks before the worker renews")
def test_a_worker_that_lives_keeps_its_job_when_redis_forgot_everything(
    reconciler: Reconciler,
    queue: RedisQueue,
    jobs: JobRecords,
    server: "redis.Redis",
    add: Callable[..., Job],
) -> None:
    job = add()
    queue.enqueue(entry_of(job))
    lease = queue.claim(wait_s=0)
    assert lease is not None
    running = jobs.change(job.id, allowed=set(JobStatus), status=JobStatus.RUNNING, attempt=1)
    server.flushall()
    reconciler.look()
    assert queue.renew(lease)
    reconciler.look()
    reconciler.look()
    assert jobs.get_any(job.id) == running
    assert in_line(queue, [job.id]) == []


def test_a_lost_worker_is_seen_twice_before_its_job_goes_on(
    reconciler: Reconciler, queue: RedisQueue, jobs: JobRecords, add: Callable[..., Job]
) -> None:
    job = add(status=JobStatus.RUNNING, attempt=1)
    reconciler.look()
    assert jobs.get_any(job.id) == job
    reconciler.look()
    now = jobs.get_any(job.id)
    assert now is not None
    assert (now.status, now.attempt, now.losses) == (JobStatus.QUEUED, 1, 1)
    assert now.not_before == NOW + 1
    assert in_line(queue, [job.id]) == [], "it backs off first"


@pytest.mark.promise("P28", fault="the clock is set back by an hour while a job backs off")
def test_a_job_backs_off_for_no_longer_than_it_has_to(
    reconciler: Reconciler,
    queue: RedisQueue,
    jobs: JobRecords,
    server: "redis.Redis",
    clock: StoppedClock,
    add: Callable[..., Job],
) -> None:
    job = add(status=JobStatus.RUNNING, attempt=1)
    reconciler.look()
    reconciler.look()
    clock.now -= 3600
    server.flushall()
    reconciler.look()
    starts_ms = server.zscore("{tunery}:delayed", job.id)
    assert starts_ms is not None
    seconds, _ = server.time()
    assert starts_ms / 1000 - seconds <= 2


@pytest.mark.parametrize("losses", [0, 2])
def test_a_lost_worker_leaves_a_job_that_was_to_pause_paused(
    reconciler: Reconciler,
    queue: RedisQueue,
    jobs: JobRecords,
    add: Callable[..., Job],
    losses: int,
) -> None:
    job = add(status=JobStatus.PAUSING, attempt=1, losses=losses)
    reconciler.look()
    reconciler.look()
    now = jobs.get_any(job.id)
    assert now is not None
    assert (now.status, now.losses, now.error) == (JobStatus.PAUSED, losses + 1, None)
    assert in_line(queue, [job.id]) == []


def test_another_attempt_is_seen_anew(
    reconciler: Reconciler, jobs: JobRecords, add: Callable[..., Job]
) -> None:
    job = add(status=JobStatus.RUNNING, attempt=1)
    reconciler.look()
    second = jobs.change(job.id, allowed=set(JobStatus), attempt=2)
    reconciler.look()
    assert jobs.get_any(job.id) == second


@pytest.mark.promise("P7", fault="three workers in turn are lost")
def test_a_job_that_kills_its_workers_is_given_up(
    reconciler: Reconciler, jobs: JobRecords, queue: RedisQueue, add: Callable[..., Job]
) -> None:
    job = add()
    for attempt in (1, 2, 3):
        jobs.change(job.id, allowed=set(JobStatus), status=JobStatus.RUNNING, attempt=attempt)
        queue.remove(job.id)
        reconciler.look()
        reconciler.look()
    now = jobs.get_any(job.id)
    assert now is not None
    assert (now.status, now.losses, now.finished_at) == (JobStatus.FAILED, 3, NOW)
    assert now.error is not None
    assert now.error["code"] == "worker_crashed"
    assert in_line(queue, [job.id]) == []


@pytest.mark.parametrize("status", [*sorted(FINAL), JobStatus.PAUSED])
def test_ended_and_paused_jobs_are_left_alone(
    reconciler: Reconciler,
    jobs: JobRecords,
    queue: RedisQueue,
    add: Callable[..., Job],
    status: JobStatus,
) -> None:
    job = jobs.change(add().id, allowed=set(JobStatus), status=status)
    assert job is not None
    reconciler.look()
    reconciler.look()
    assert jobs.get_any(job.id) == job
    assert in_line(queue, [job.id]) == []
