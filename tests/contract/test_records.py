"""What the record promises to the rest of the server, on a real SQLite."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from tests.rows import NOW, a_file, a_job, a_key, an_adapter
from tunery_server.errors import InvalidRequest
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.job_history import JobHistory, Note, Standing
from tunery_server.records.jobs import JobRecords
from tunery_server.records.keys import KeyRecords
from tunery_server.records.rows import JobCheckpoint, JobStatus, Page

from .paged import pages


class TestFiles:
    @pytest.fixture
    def files(self, database: Database) -> FileRecords:
        return FileRecords(database)

    def test_a_file_comes_back_as_it_was_stored(self, files: FileRecords) -> None:
        file = a_file(expires_at=NOW + 3600.5)
        files.add(file)
        assert files.get("acme", file.id) == file

    def test_another_tenants_file_is_an_absent_one(self, files: FileRecords) -> None:
        file = a_file()
        files.add(file)
        assert files.get("rival", file.id) is None
        assert listed(files, "rival") == []
        with pytest.raises(InvalidRequest):
            listed(files, "rival", after=file.id)
        assert not files.delete("rival", file.id)
        assert files.delete("acme", file.id)
        assert not files.delete("acme", file.id)

    def test_purpose_filters(self, files: FileRecords) -> None:
        dataset, result = a_file(), a_file(purpose="fine-tune-results", examples=None)
        files.add(dataset)
        files.add(result)
        assert listed(files, "acme", purpose="fine-tune-results") == [result.id]

    @pytest.mark.parametrize("ascending", [True, False])
    def test_pages_hold_every_file_once_in_order(self, files: FileRecords, ascending: bool) -> None:
        """Several were made at the same moment, so that the id has to break the tie."""
        made = [a_file(created_at=NOW + number // 3) for number in range(8)]
        for file in made:
            files.add(file)
        expected = [f.id for f in sorted(made, key=lambda f: (f.created_at, f.id))]
        assert pages(
            lambda after: files.list(
                "acme", purpose=None, after=after, limit=3, ascending=ascending
            )
        ) == (expected if ascending else expected[::-1])

    def test_has_more_is_false_on_a_last_full_page(self, files: FileRecords) -> None:
        for _ in range(2):
            files.add(a_file())
        page = files.list("acme", purpose=None, after=None, limit=2, ascending=True)
        assert page is not None
        assert (len(page.items), page.has_more) == (2, False)


class TestJobs:
    @pytest.fixture
    def jobs(self, database: Database) -> JobRecords:
        return JobRecords(database)

    def test_a_job_comes_back_as_it_was_stored(self, jobs: JobRecords) -> None:
        job = a_job(
            metadata={"team": "a b", "ä": "ö"},
            integrations=[{"type": "wandb", "wandb": {"project": "p"}}],
            error={"code": "x", "message": "y", "param": None},
            progress={"step": 1, "train_loss": 0.5},
            timings={"published_at": NOW},
            result_files=("file-1", "file-2"),
            estimated_finish=NOW + 0.25,
        )
        jobs.add(job)
        assert jobs.get("acme", job.id) == job
        assert jobs.get_any(job.id) == job

    def test_another_tenants_job_is_an_absent_one(self, jobs: JobRecords) -> None:
        job = a_job()
        jobs.add(job)
        assert jobs.get("rival", job.id) is None
        assert jobs.list("rival") == Page((), has_more=False)
        with pytest.raises(InvalidRequest):
            jobs.list("rival", after=job.id)

    def test_pages_go_from_the_newest_to_the_oldest(self, jobs: JobRecords) -> None:
        made = [a_job(created_at=NOW + number // 2) for number in range(7)]
        for job in made:
            jobs.add(job)
        expected = [j.id for j in sorted(made, key=lambda j: (j.created_at, j.id), reverse=True)]
        assert pages(lambda after: jobs.list("acme", after=after, limit=2)) == expected

    @pytest.mark.parametrize("key", ["team", "a.b", 'a"b', "a'b", "a[0]", "$", "a\\b", "ключ", " "])
    def test_metadata_filters_whatever_its_key(self, jobs: JobRecords, key: str) -> None:
        tagged = a_job(metadata={key: "red", "other": "x"})
        jobs.add(tagged)
        jobs.add(a_job(metadata={key: "blue"}))
        jobs.add(a_job())
        page = jobs.list("acme", metadata={key: "red", "other": "x"})
        assert page is not None
        assert [job.id for job in page.items] == [tagged.id]

    def test_jobs_without_metadata_are_found(self, jobs: JobRecords) -> None:
        bare = a_job()
        jobs.add(bare)
        jobs.add(a_job(metadata={"team": "red"}))
        page = jobs.list("acme", metadata=None)
        assert page is not None
        assert [job.id for job in page.items] == [bare.id]

    def test_a_move_depends_on_where_the_job_is(self, jobs: JobRecords) -> None:
        moves = {JobStatus.QUEUED: JobStatus.PAUSED, JobStatus.RUNNING: JobStatus.PAUSING}
        for earlier in JobStatus:
            job = a_job(status=earlier, attempt=1)
            jobs.add(job)
            moved = jobs.move(job.id, moves, in_attempt=1, progress={"step": 1})
            if earlier in moves:
                assert moved == replace(job, status=moves[earlier], progress={"step": 1})
            else:
                assert moved is None
                assert jobs.get_any(job.id) == job
        assert jobs.move(job.id, moves, in_attempt=2) is None

    def test_a_change_needs_an_allowed_state(self, jobs: JobRecords) -> None:
        job = a_job(status=JobStatus.SUCCEEDED)
        jobs.add(job)
        for status in set(JobStatus) - {JobStatus.SUCCEEDED}:
            assert jobs.change(job.id, allowed={status}, status=JobStatus.RUNNING) is None
        assert jobs.change("ftjob-none", allowed=set(JobStatus), seed=1) is None
        assert jobs.get_any(job.id) == job

    @pytest.mark.promise("P28", fault="a clock is set back amid a job")
    @pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
    def test_no_duration_is_negative(self, jobs: JobRecords, jump_s: float) -> None:
        job, now = a_job(), NOW + jump_s
        jobs.add(job)
        running = jobs.change(
            job.id, allowed=set(JobStatus), status=JobStatus.RUNNING, started_at=now
        )
        done = jobs.change(
            job.id, allowed=set(JobStatus), status=JobStatus.SUCCEEDED, finished_at=NOW + 1
        )
        assert running is not None
        assert done is not None
        assert running.started_at == max(now, NOW)
        assert done.finished_at == max(now, NOW + 1)

    @pytest.mark.promise("P5", fault="an older attempt writes to the record")
    def test_a_change_of_an_older_attempt_is_refused(self, jobs: JobRecords) -> None:
        job = a_job(status=JobStatus.RUNNING, attempt=2)
        jobs.add(job)
        running = {JobStatus.RUNNING}
        assert jobs.change(job.id, allowed=running, in_attempt=1, progress={"step": 9}) is None
        changed = jobs.change(job.id, allowed=running, in_attempt=2, progress={"step": 1})
        assert changed == replace(job, progress={"step": 1}) == jobs.get_any(job.id)

    @pytest.mark.promise("P4", fault="many attempts begin at once")
    def test_of_many_claims_at_once_one_is_written(self, jobs: JobRecords) -> None:
        job = a_job()
        jobs.add(job)

        def claim(attempt: int) -> bool:
            queued = {JobStatus.QUEUED}
            change = jobs.change(job.id, allowed=queued, status=JobStatus.RUNNING, attempt=attempt)
            return change is not None

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(claim, range(16))) == 1

    def test_a_file_is_in_use_by_its_own_tenants_jobs_alone(self, jobs: JobRecords) -> None:
        jobs.add(a_job(training_file="file-t", validation_file="file-v"))
        queued = {JobStatus.QUEUED}
        for file_id in ("file-t", "file-v"):
            assert jobs.using_file("acme", file_id, queued)
            assert not jobs.using_file("rival", file_id, queued)
            assert not jobs.using_file("acme", file_id, {JobStatus.RUNNING})

    def test_every_state_is_counted(self, jobs: JobRecords) -> None:
        jobs.add(a_job())
        jobs.add(a_job(tenant_id="rival"))
        nothing = {str(status): 0 for status in JobStatus}
        assert jobs.count_by_status() == {**nothing, "queued": 2}

    def test_jobs_by_state_come_oldest_first(self, jobs: JobRecords) -> None:
        late, early = a_job(created_at=NOW + 1), a_job(tenant_id="rival", created_at=NOW)
        for job in (late, early, a_job(status=JobStatus.FAILED)):
            jobs.add(job)
        assert jobs.with_status({JobStatus.QUEUED, JobStatus.RUNNING}) == (early, late)


def a_checkpoint(job_id: str) -> JobCheckpoint:
    return JobCheckpoint(
        id="ftckpt_1", job_id=job_id, step=10, model="m", metrics={"loss": 1.0}, created_at=NOW
    )


class TestHistory:
    @pytest.fixture
    def job_id(self, database: Database) -> str:
        job = a_job(status=JobStatus.RUNNING, attempt=2)
        JobRecords(database).add(job)
        return job.id

    @pytest.fixture
    def history(self, database: Database) -> JobHistory:
        return JobHistory(database)

    def test_events_are_counted_without_a_gap(self, history: JobHistory, job_id: str) -> None:
        """Also when several processes write at once."""

        def add(number: int) -> bool:
            return history.add_event(
                job_id, event_id=f"ftevent-{number}", created_at=NOW, message=str(number)
            )

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(add, range(40)))
        page = history.events(job_id, after=None, limit=100)
        assert page is not None
        assert [event.sequence for event in page.items] == list(range(40, 0, -1))

    @pytest.mark.promise("P5", fault="an older attempt adds an event")
    @pytest.mark.parametrize("attempt", [1, 3])
    def test_an_event_of_another_attempt_is_refused(
        self, history: JobHistory, job_id: str, attempt: int
    ) -> None:
        assert not history.add_event(
            job_id, event_id="ftevent-1", created_at=NOW, message="late", attempt=attempt
        )
        assert history.add_event(
            job_id, event_id="ftevent-2", created_at=NOW, message="mine", attempt=2
        )
        page = history.events(job_id, after=None, limit=10)
        assert page is not None
        assert [(event.sequence, event.message) for event in page.items] == [(1, "mine")]

    def test_an_event_of_an_ended_job_is_refused(
        self, database: Database, history: JobHistory, job_id: str
    ) -> None:
        JobRecords(database).change(job_id, allowed=set(JobStatus), status=JobStatus.CANCELLED)
        assert not history.add_event(
            job_id, event_id="ftevent-1", created_at=NOW, message="late", attempt=2
        )

    def test_a_note_is_written_with_its_change_or_not_at_all(
        self, database: Database, history: JobHistory, job_id: str
    ) -> None:
        note = Note(id="ftevent-1", created_at=NOW, message="cancelled", level="warn")
        jobs = JobRecords(database)
        queued, running = {JobStatus.QUEUED}, {JobStatus.RUNNING}
        assert not jobs.change(job_id, allowed=queued, note=note, status=JobStatus.CANCELLED)
        assert history.standings([job_id]) == {job_id: Standing(JobStatus.RUNNING, 0)}
        assert jobs.change(job_id, allowed=running, note=note, status=JobStatus.CANCELLED)
        assert history.standings([job_id, "gone"]) == {job_id: Standing(JobStatus.CANCELLED, 1)}
        [event] = history.events_after(job_id, 0, limit=10)
        assert (event.sequence, event.message, event.level) == (1, "cancelled", "warn")

    def test_events_after_one_go_from_the_oldest_on(self, history: JobHistory, job_id: str) -> None:
        for number in range(1, 6):
            history.add_event(job_id, event_id=f"e{number}", created_at=NOW, message="")
        assert history.sequence(job_id, "e2") == 2
        assert history.sequence("another", "e2") is None
        found = history.events_after(job_id, 2, limit=2)
        assert [event.id for event in found] == ["e3", "e4"]
        assert history.events_after(job_id, 5, limit=2) == ()

    def test_pages_of_events_go_from_the_newest_on(self, history: JobHistory, job_id: str) -> None:
        for number in range(5):
            history.add_event(job_id, event_id=f"e{number}", created_at=NOW, message="")
        found = pages(lambda after: history.events(job_id, after=after, limit=2))
        assert found == ["e4", "e3", "e2", "e1", "e0"]
        with pytest.raises(InvalidRequest):
            history.events(job_id, after="unknown", limit=2)

    def test_metrics_come_oldest_first(self, history: JobHistory, job_id: str) -> None:
        for step in (1, 2):
            history.add_event(
                job_id,
                event_id=f"e{step}",
                created_at=NOW,
                message="",
                type="metrics",
                data={"step": step},
            )
            history.add_event(job_id, event_id=f"m{step}", created_at=NOW, message="no metrics")
        assert history.metrics(job_id) == ({"step": 1}, {"step": 2})

    def test_a_repeated_checkpoint_changes_nothing(self, history: JobHistory, job_id: str) -> None:
        first = a_checkpoint(job_id)
        for checkpoint in (
            first,
            replace(first, id="ftckpt_2", metrics={"loss": 2.0}),
            replace(first, id="ftckpt_3", step=20),
        ):
            assert history.add_checkpoint(checkpoint, an_adapter(), attempt=2)
        found = pages(lambda after: history.checkpoints(job_id, after=after, limit=1))
        assert found == ["ftckpt_3", "ftckpt_1"]
        page = history.checkpoints(job_id, after="ftckpt_3", limit=5)
        assert page is not None
        assert page.items == (first,)

    @pytest.mark.promise("P5", fault="a checkpoint of an earlier attempt comes late")
    def test_an_earlier_attempts_checkpoint_is_refused(
        self, history: JobHistory, database: Database, job_id: str
    ) -> None:
        late, adapter = a_checkpoint(job_id), an_adapter()
        assert not history.add_checkpoint(late, adapter, attempt=1)
        assert history.checkpoints(job_id, after=None, limit=1).items == ()
        assert AdapterRecords(database).get("acme", adapter.model) is None


class TestKeys:
    def test_a_key_is_found_by_its_digest_alone(self, database: Database) -> None:
        keys, key = KeyRecords(database), a_key(scopes=("inference", "files"))
        keys.add(key)
        assert keys.by_digest(key.digest) == key
        assert keys.by_digest(key.id) is None
        assert keys.list() == (key,)

    def test_an_error_does_not_show_what_was_to_be_written(self, database: Database) -> None:
        keys, key = KeyRecords(database), a_key(name="a secret name")
        keys.add(key)
        with pytest.raises(IntegrityError) as raised:
            keys.add(key)
        assert key.digest not in str(raised.value)
        assert key.name not in str(raised.value)

    def test_a_key_is_revoked_once(self, database: Database) -> None:
        keys, key = KeyRecords(database), a_key()
        keys.add(key)
        assert keys.revoke(key.id, now=NOW + 1)
        assert not keys.revoke(key.id, now=NOW + 2)
        assert not keys.revoke("key-none", now=NOW)
        assert keys.by_digest(key.digest) == replace(key, revoked_at=NOW + 1)


def listed(
    files: FileRecords, tenant_id: str, *, purpose: str | None = None, after: str | None = None
) -> list[str]:
    page = files.list(tenant_id, purpose=purpose, after=after, limit=100, ascending=True)
    return [file.id for file in page.items]
