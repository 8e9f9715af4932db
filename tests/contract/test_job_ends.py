"""What changes a job's state is written together with what tells of it, or not at all."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from tests.rows import NOW, a_file, a_job, an_adapter
from tunery_server.jobs.transitions import RELEASE
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.job_history import JobHistory, Note
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import HELD, Job, JobEvent, JobStatus

END = Note(id="ftevent-1", created_at=NOW, message="the end")


class TestSuccess:
    """The final state, the adapter and the result file are there together, or none of them."""

    def test_all_of_it_is_written(self, database: Database) -> None:
        job, adapter, results = running(database), an_adapter(), a_file()
        done = JobRecords(database).succeed(
            job.id, in_attempt=2, adapter=adapter, results=results, note=END
        )
        assert done is not None
        assert (done.status, done.finished_at) == (JobStatus.SUCCEEDED, NOW)
        assert (done.fine_tuned_model, done.result_files) == (adapter.model, (results.id,))
        assert AdapterRecords(database).get("acme", adapter.model) == adapter
        assert FileRecords(database).get("acme", results.id) == results
        assert [event.message for event in events(database, job)] == [END.message]

    @pytest.mark.promise("P5", fault="success of an earlier attempt comes late")
    @pytest.mark.parametrize(
        "change", [{"attempt": 3}, {"status": JobStatus.CANCELLED}, {"status": JobStatus.QUEUED}]
    )
    def test_none_of_it_for_an_attempt_that_lost_the_job(
        self, database: Database, change: dict[str, Any]
    ) -> None:
        job, adapter, results = running(database), an_adapter(), a_file()
        jobs = JobRecords(database)
        jobs.change(job.id, allowed=HELD, **change)
        lost = jobs.succeed(job.id, in_attempt=2, adapter=adapter, results=results, note=END)
        assert lost is None
        assert jobs.get_any(job.id) == replace(job, **change)
        assert AdapterRecords(database).get("acme", adapter.model) is None
        assert FileRecords(database).get("acme", results.id) is None
        assert events(database, job) == ()

    def test_none_of_it_when_a_part_cannot_be_written(self, database: Database) -> None:
        job, adapter, results = running(database), an_adapter(), a_file()
        FileRecords(database).add(results)
        jobs = JobRecords(database)
        with pytest.raises(IntegrityError):
            jobs.succeed(job.id, in_attempt=2, adapter=adapter, results=results, note=END)
        assert jobs.get_any(job.id) == job
        assert AdapterRecords(database).get("acme", adapter.model) is None


class TestMoves:
    def test_the_history_tells_where_a_job_came_to(self, database: Database) -> None:
        job, jobs = running(database), JobRecords(database)
        paused = replace(END, id="e-paused", message="paused")
        notes = {JobStatus.PAUSED: paused, JobStatus.QUEUED: END}
        assert jobs.move(job.id, RELEASE, in_attempt=1, notes=notes) is None
        assert events(database, job) == ()
        jobs.change(job.id, allowed=HELD, status=JobStatus.PAUSING)
        assert jobs.move(job.id, RELEASE, in_attempt=2, notes=notes) is not None
        assert [event.message for event in events(database, job)] == ["paused"]

    def test_a_new_job_has_its_beginning(self, database: Database) -> None:
        job, again = a_job(), replace(END, id="e-again")
        JobRecords(database).add(job, notes=[END, again])
        assert [(e.id, e.sequence) for e in reversed(events(database, job))] == [
            (END.id, 1),
            (again.id, 2),
        ]


def running(database: Database) -> Job:
    job = a_job(status=JobStatus.RUNNING, attempt=2)
    JobRecords(database).add(job)
    return job


def events(database: Database, job: Job) -> tuple[JobEvent, ...]:
    return JobHistory(database).events(job.id, after=None, limit=100).items
