"""Jobs in numbers: each look asks for what is new, however many jobs there are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from tests.rows import NOW, a_job
from tunery_server.records.database import Database
from tunery_server.records.job_numbers import Claim, Ended, JobNumbers, Standing
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Job, JobStatus

WAITED_S = 20.0


def added(database: Database, **values: Any) -> Job:
    job = a_job(**values)
    JobRecords(database).add(job)
    return job


def claimed(database: Database, *, at: float) -> Job:
    started = JobRecords(database).start(added(database, created_at=at - WAITED_S), now=at)
    assert started is not None
    return started


def ended(database: Database, *, at: float, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    job = added(database)
    JobRecords(database).change(job.id, allowed=set(JobStatus), status=status, finished_at=at)


def test_a_claim_is_found_by_its_time(database: Database) -> None:
    for _ in range(5):
        added(database)
    claimed(database, at=NOW)
    job = claimed(database, at=NOW + 1)
    numbers = JobNumbers(database)
    assert numbers.claims(NOW) == (Claim(job.id, job.attempt, "acme", WAITED_S),)
    assert numbers.claims(NOW + 1) == ()
    assert set(numbers.standings()) == {
        Standing("acme", "queued", 5),
        Standing("acme", "running", 2),
    }


def test_ends_are_counted_in_two_parts(database: Database) -> None:
    for at in (0, 1, 2, 3, 4):
        ended(database, at=NOW + at)
    ended(database, at=NOW + 4, status=JobStatus.FAILED)
    claimed(database, at=NOW + 4)
    assert set(JobNumbers(database).ended(NOW, NOW + 2)) == {
        Ended(False, "acme", "succeeded", 2),
        Ended(True, "acme", "succeeded", 2),
        Ended(True, "acme", "failed", 1),
    }


def test_sqlite_goes_by_the_index(migrated_copy: Path, plans: list[str]) -> None:
    """It keeps no statistics to choose by, and is easily led to look at all jobs there are."""
    numbers = JobNumbers(Database(f"sqlite:///{migrated_copy}"))
    numbers.claims(NOW)
    numbers.ended(NOW, NOW + 1)
    assert [plan.partition(" (")[0] for plan in plans if "jobs" in plan] == [
        "SEARCH jobs USING INDEX ix_jobs_started_at",
        "SEARCH jobs USING INDEX ix_jobs_finished_at",
    ]


@pytest.fixture
def plans() -> Iterator[list[str]]:
    """Of every SELECT in SQLite, step by step."""
    found: list[str] = []

    def explain(connection: Connection, _: object, statement: str, given: Any, *__: object) -> None:
        if statement.startswith("SELECT"):
            cursor = connection.connection.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", given)
            found.extend(row[3] for row in cursor.fetchall())

    event.listen(Engine, "before_cursor_execute", explain)
    yield found
    event.remove(Engine, "before_cursor_execute", explain)
