"""Jobs counted out of a real record, look by look."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.rows import NOW, a_job
from tunery_server.errors import RecordUnavailable
from tunery_server.jobs.statistics import JobStatistics
from tunery_server.records.database import Database
from tunery_server.records.job_numbers import JobNumbers, Standing
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Job, JobStatus
from tunery_server.records.usage import UsageRecords
from tunery_server.records.usage_rows import HOUR_S, Amounts, UsageKey

CLAIMED = "tunery_tenant_claim_wait_seconds"
ENDED = "tunery_tenant_fine_tuning_jobs_ended_total"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class FailingNumbers(JobNumbers):
    """Of a record that goes away before the last question of a look."""

    away = False

    def standings(self) -> tuple[Standing, ...]:
        if self.away:
            raise RecordUnavailable("away")
        return super().standings()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(database: Database) -> JobRecords:
    return JobRecords(database)


@pytest.fixture
def statistics(database: Database, clock: Clock) -> JobStatistics:
    statistics = JobStatistics(1, JobNumbers(database), clock=clock)
    statistics.look()
    return statistics


def sums(statistics: JobStatistics, name: str) -> Iterator[tuple[tuple[str, ...], float]]:
    """The samples of that name that are not 0, by the values of their labels."""
    for family in statistics.collect():
        for sample in family.samples:
            if sample.name == name and sample.value:
                yield tuple(sample.labels.values()), sample.value


def added(jobs: JobRecords, **values: object) -> Job:
    job = a_job(**values)
    jobs.add(job)
    return job


def claimed(jobs: JobRecords, job: Job, clock: Clock) -> Job:
    started = jobs.start(job, now=clock.now)
    assert started is not None
    return started


def ended(jobs: JobRecords, job: Job, clock: Clock) -> None:
    jobs.change(job.id, allowed=set(JobStatus), status=JobStatus.SUCCEEDED, finished_at=clock.now)


def test_who_waits_and_who_runs(jobs: JobRecords, statistics: JobStatistics, clock: Clock) -> None:
    first, *_ = [added(jobs, tenant_id="acme") for _ in range(3)]
    added(jobs, tenant_id="rival")
    claimed(jobs, first, clock)
    statistics.look()
    assert dict(sums(statistics, "tunery_tenant_fine_tuning_jobs")) == {
        ("acme", "queued"): 2,
        ("acme", "running"): 1,
        ("other", "queued"): 1,
    }
    ended(jobs, first, clock)
    statistics.look()
    assert dict(sums(statistics, "tunery_tenant_fine_tuning_jobs")) == {
        ("acme", "queued"): 2,
        ("other", "queued"): 1,
    }


def test_a_claim_and_an_end_count_once_however_often_one_looks(
    jobs: JobRecords, statistics: JobStatistics, clock: Clock
) -> None:
    job = added(jobs)
    clock.now += 20
    job = claimed(jobs, job, clock)
    for _ in range(5):
        statistics.look()
        clock.now += 200
    assert dict(sums(statistics, f"{CLAIMED}_count")) == {("acme",): 1}
    assert dict(sums(statistics, f"{CLAIMED}_sum")) == {("acme",): 20}
    ended(jobs, job, clock)
    for _ in range(5):
        statistics.look()
        clock.now += 200
    assert dict(sums(statistics, ENDED)) == {("acme", "succeeded"): 1}
    assert dict(sums(statistics, f"{CLAIMED}_count")) == {("acme",): 1}


def test_each_attempt_is_a_claim(jobs: JobRecords, statistics: JobStatistics, clock: Clock) -> None:
    job = added(jobs)
    for _ in range(3):
        clock.now += 10
        job = claimed(jobs, job, clock)
        statistics.look()
        moved = jobs.move(job.id, {JobStatus.RUNNING: JobStatus.QUEUED})
        assert moved is not None
        job = moved
    assert dict(sums(statistics, f"{CLAIMED}_count")) == {("acme",): 3}


def test_what_was_before_the_first_look_is_not_counted(
    jobs: JobRecords, database: Database, clock: Clock
) -> None:
    before, after = added(jobs), added(jobs)
    ended(jobs, claimed(jobs, before, clock), clock)
    statistics = JobStatistics(1, JobNumbers(database), clock=clock)
    for _ in range(2):
        statistics.look()
        assert dict(sums(statistics, ENDED)) == {}
    clock.now += 1
    ended(jobs, claimed(jobs, after, clock), clock)
    statistics.look()
    assert dict(sums(statistics, ENDED)) == {("acme", "succeeded"): 1}


def test_a_job_that_shows_up_late_is_counted(
    jobs: JobRecords, statistics: JobStatistics, clock: Clock
) -> None:
    """Its worker's clock is behind, or its transaction took long."""
    job = added(jobs, created_at=NOW - 1000)
    clock.now += 1000
    statistics.look()
    behind = Clock()
    behind.now = clock.now - 60
    ended(jobs, claimed(jobs, job, behind), behind)
    statistics.look()
    assert dict(sums(statistics, ENDED)) == {("acme", "succeeded"): 1}
    assert dict(sums(statistics, f"{CLAIMED}_count")) == {("acme",): 1}


def test_a_clock_that_is_set_back_counts_nothing_twice(
    jobs: JobRecords, statistics: JobStatistics, clock: Clock
) -> None:
    for step in (100, -900, 10, 1000, 10):
        ended(jobs, claimed(jobs, added(jobs), clock), clock)
        statistics.look()
        clock.now += step
    assert dict(sums(statistics, ENDED)) == {("acme", "succeeded"): 4}
    assert dict(sums(statistics, f"{CLAIMED}_count")) == {("acme",): 4}


def test_a_look_that_fails_loses_nothing_and_counts_nothing_twice(
    jobs: JobRecords, database: Database, clock: Clock
) -> None:
    numbers = FailingNumbers(database)
    statistics = JobStatistics(1, numbers, clock=clock)
    statistics.look()
    for numbers.away in (False, True, False):
        clock.now += 100
        ended(jobs, claimed(jobs, added(jobs), clock), clock)
        with suppress(RecordUnavailable):
            statistics.look()
    assert dict(sums(statistics, ENDED)) == {("acme", "succeeded"): 3}
    assert dict(sums(statistics, f"{CLAIMED}_count")) == {("acme",): 3}


def test_training_grows_as_the_ledger_does(
    database: Database, statistics: JobStatistics, clock: Clock
) -> None:
    usage, amounts = (
        UsageRecords(database),
        Amounts(trained_tokens=100, training_s=7.5, energy_j=20.0),
    )
    hour = int(NOW // HOUR_S) * HOUR_S
    key = UsageKey(hour=hour, tenant_id="acme", model="ft:a")
    for later in (0, 1, 1, 2):
        clock.now = max(clock.now, hour + later * HOUR_S + 60.0)
        usage.add([(replace(key, hour=hour + later * HOUR_S), amounts)])
        statistics.look()
    assert dict(sums(statistics, "tunery_tenant_trained_tokens_total")) == {("acme",): 400}
    assert dict(sums(statistics, "tunery_tenant_training_seconds_total")) == {("acme",): 30}
    energy = "tunery_tenant_training_energy_joules_total"
    assert dict(sums(statistics, energy)) == {("acme",): 80}
