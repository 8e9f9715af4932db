"""What a job takes is counted for its tenant once, whatever becomes of its attempts."""

import pytest

from tests.rows import NOW, a_job
from tunery_server.records.database import Database
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Job, JobStatus
from tunery_server.records.usage import UsageRecords
from tunery_server.records.usage_rows import HOUR_S, Amounts, UsageQuery, UsageRow
from tunery_server.records.work import Work, counted

MODEL = "ft:base:tunery:pirate:1"


@pytest.fixture
def jobs(database: Database) -> JobRecords:
    return JobRecords(database)


@pytest.fixture
def job(jobs: JobRecords) -> Job:
    job = a_job(status=JobStatus.RUNNING, attempt=1, key_id="key-1")
    jobs.add(job)
    return job


def tell(jobs: JobRecords, job: Job, *taken: Work, attempt: int = 1, now: float = NOW) -> None:
    """What an attempt has taken, step after step."""
    for work in taken:
        jobs.advance(job.id, in_attempt=attempt, work=work, model=MODEL, now=now, progress={})


def work(tokens: int, seconds: float, joules: float | None = None) -> Work:
    return Work(trained_tokens=tokens, training_s=seconds, energy_j=joules)


def rows(database: Database) -> tuple[UsageRow, ...]:
    everything = UsageQuery(start=0, end=2**40, by=("tenant_id", "key_id", "model"))
    return UsageRecords(database).sums(everything)


def total(database: Database) -> Amounts:
    return sum((row.amounts for row in rows(database)), Amounts())


def test_it_counts_for_whoever_asked_under_the_adapter_and_the_hour(
    database: Database, jobs: JobRecords, job: Job
) -> None:
    tell(jobs, job, work(10, 1.0), work(20, 2.5))
    tell(jobs, job, work(30, 4.0), now=NOW + HOUR_S)
    first, second = rows(database)
    assert (first.key.tenant_id, first.key.key_id, first.key.model) == ("acme", "key-1", MODEL)
    assert first.amounts == Amounts(trained_tokens=20, training_s=2.5)
    assert second.key.hour == first.key.hour + HOUR_S
    assert second.amounts == Amounts(trained_tokens=10, training_s=1.5)


def test_what_is_taken_again_is_not_counted_again(
    database: Database, jobs: JobRecords, job: Job
) -> None:
    tell(jobs, job, work(10, 1.0, 50.0), work(20, 2.0, 100.0))
    jobs.change(job.id, allowed=set(JobStatus), attempt=2)
    tell(jobs, job, work(10, 0.9, 40.0), work(20, 2.1, 90.0), work(30, 3.0, 140.0), attempt=2)
    assert total(database) == Amounts(trained_tokens=30, training_s=3.0, energy_j=140.0)
    known = jobs.get_any(job.id)
    assert known is not None
    assert counted(known) == work(30, 3.0, 140.0)


def test_what_nobody_was_told_of_is_made_up_for(
    database: Database, jobs: JobRecords, job: Job
) -> None:
    tell(jobs, job, work(10, 1.0))
    tell(jobs, job, work(40, 4.0))
    assert total(database) == Amounts(trained_tokens=40, training_s=4.0)


@pytest.mark.parametrize("change", [{"attempt": 2}, {"status": JobStatus.CANCELLED}])
def test_an_attempt_that_lost_the_job_counts_nothing(
    database: Database, jobs: JobRecords, job: Job, change: dict[str, object]
) -> None:
    jobs.change(job.id, allowed=set(JobStatus), **change)
    tell(jobs, job, work(10, 1.0))
    assert rows(database) == ()


def test_energy_that_no_device_counts_is_not_made_up(
    database: Database, jobs: JobRecords, job: Job
) -> None:
    tell(jobs, job, work(10, 1.0))
    assert total(database).energy_j is None
    tell(jobs, job, work(20, 2.0, 30.0), work(30, 3.0))
    assert total(database).energy_j == 30.0


def test_trainings_are_told_from_requests(database: Database, jobs: JobRecords, job: Job) -> None:
    tell(jobs, job, work(10, 1.0))
    usage = UsageRecords(database)
    assert usage.sums(UsageQuery(start=0, end=2**40, inference=True)) == ()
    assert len(usage.sums(UsageQuery(start=0, end=2**40, inference=False))) == 1
