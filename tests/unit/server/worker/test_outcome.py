import errno
from typing import Any

import pytest

from tests.rows import a_job
from tunery_server.errors import LeaseLost, RecordUnavailable, StorageFull, StorageUnavailable
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Job, JobStatus
from tunery_server.worker.outcome import recorded
from tunery_server.worker.recorder import Recorder
from tunery_server.worker.trainer import TrainerFailed, TrainerStopped

from .conftest import StoppedClock


@pytest.fixture
def job(jobs: JobRecords) -> Job:
    job = a_job(status=JobStatus.RUNNING, attempt=1, estimated_finish=5.0)
    jobs.add(job)
    return job


@pytest.fixture
def recorder(job: Job, jobs: JobRecords, history: JobHistory, clock: StoppedClock) -> Recorder:
    return Recorder(job, model="ft:x", jobs=jobs, history=history, clock=clock)


async def ended(recorder: Recorder, clock: StoppedClock, error: Exception) -> None:
    async with recorded(recorder):
        raise error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TrainerFailed("out_of_memory", "too big", "batch_size"), "out_of_memory"),
        (OSError(errno.ENOSPC, "full"), "storage_full"),
        (StorageFull("full"), "storage_full"),
        (OSError(errno.EIO, "/secret/path"), "server_error"),
        (RuntimeError("/secret/path"), "server_error"),
        (KeyError("secret"), "server_error"),
    ],
)
async def test_what_goes_wrong_fails_the_job_with_its_reason(
    recorder: Recorder, job: Job, jobs: JobRecords, clock: StoppedClock, error: Exception, code: str
) -> None:
    await ended(recorder, clock, error)
    now = jobs.get_any(job.id)
    assert now is not None
    assert (now.status, now.finished_at, now.estimated_finish) == (JobStatus.FAILED, clock(), None)
    assert now.error is not None
    assert now.error["code"] == code
    assert "secret" not in now.error["message"]


@pytest.mark.parametrize("error", [RecordUnavailable("away"), StorageUnavailable("away")])
async def test_an_attempt_without_database_or_storage_leaves_the_job_to_another(
    recorder: Recorder, job: Job, jobs: JobRecords, clock: StoppedClock, error: Exception
) -> None:
    await ended(recorder, clock, error)
    assert jobs.get_any(job.id) == job


async def test_a_stopped_job_goes_back_in_line(
    recorder: Recorder, job: Job, jobs: JobRecords, clock: StoppedClock
) -> None:
    await ended(recorder, clock, TrainerStopped())
    now = jobs.get_any(job.id)
    assert now is not None
    assert (now.status, now.losses, now.error) == (JobStatus.QUEUED, 0, None)


async def test_a_lost_job_is_left_alone(
    recorder: Recorder, job: Job, jobs: JobRecords, history: JobHistory, clock: StoppedClock
) -> None:
    await ended(recorder, clock, LeaseLost("gone"))
    assert jobs.get_any(job.id) == job
    page = history.events(job.id, after=None, limit=5)
    assert page is not None
    assert page.items == ()


@pytest.mark.parametrize("change", [{"status": JobStatus.CANCELLED}, {"attempt": 2}])
@pytest.mark.parametrize("error", [TrainerStopped(), TrainerFailed("x", "y"), RuntimeError()])
async def test_an_outcome_that_comes_too_late_is_dropped(
    recorder: Recorder,
    job: Job,
    jobs: JobRecords,
    clock: StoppedClock,
    change: dict[str, Any],
    error: Exception,
) -> None:
    theirs = jobs.change(job.id, allowed=set(JobStatus), **change)
    await ended(recorder, clock, error)
    assert jobs.get_any(job.id) == theirs


async def test_success_is_written_by_the_attempt(
    recorder: Recorder, job: Job, jobs: JobRecords, clock: StoppedClock
) -> None:
    async with recorded(recorder):
        pass
    assert jobs.get_any(job.id) == job
