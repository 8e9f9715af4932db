"""A client's wishes on jobs, on a real record and a queue that can go away."""

from collections.abc import Collection
from dataclasses import replace

import pytest
import redis

from tests.intake import an_intake
from tests.queues import an_entry, in_line
from tests.rows import NOW, a_file
from tunery_adapters.spec import LoraSpec
from tunery_server.errors import InvalidRequest, NotFound, QueueUnavailable
from tunery_server.jobs.request import JobRequest
from tunery_server.jobs.service import JobService
from tunery_server.jobs.transitions import FINAL, UNFINISHED
from tunery_server.queue.contract import Entry
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Job, JobStatus
from tunery_server.records.tenant_rows import TenantPolicy
from tunery_server.records.tenants import TenantPolicies


class FailingQueue(RedisQueue):
    """A real queue whose server goes away when it is told to."""

    gone: frozenset[str] = frozenset()

    def ping(self) -> None:
        self._reach("ping")
        super().ping()

    def enqueue(self, entry: Entry) -> None:
        self._reach("enqueue")
        super().enqueue(entry)

    def remove(self, job_id: str) -> None:
        self._reach("remove")
        super().remove(job_id)

    def positions(self, job_ids: Collection[str]) -> dict[str, int]:
        self._reach("positions")
        return super().positions(job_ids)

    def _reach(self, call: str) -> None:
        if call in self.gone:
            raise QueueUnavailable("The job queue does not answer. Try again shortly.")


@pytest.fixture
def queue(valkey: str) -> FailingQueue:
    client = redis.Redis.from_url(valkey)
    client.flushall()
    return FailingQueue(client, lease_s=60)


@pytest.fixture
def jobs(database: Database) -> JobRecords:
    return JobRecords(database)


@pytest.fixture
def service(database: Database, jobs: JobRecords, queue: FailingQueue) -> JobService:
    files = FileRecords(database)
    files.add(a_file(id="file-good", examples=20))
    files.add(a_file(id="file-short", examples=9))
    files.add(a_file(id="file-other", examples=None, purpose="assistants"))
    files.add(a_file(id="file-rival", tenant_id="rival"))
    return JobService(
        jobs=jobs,
        history=JobHistory(database),
        intake=an_intake(database, clock=lambda: NOW),
        queue=queue,
        policies=TenantPolicies(database, TenantPolicy(tenant_id="", max_waiting=MAX_WAITING)),
        clock=lambda: NOW,
    )


MAX_WAITING = 4
REQUEST = JobRequest(model="base", training_file="file-good")


def test_a_new_job_is_recorded_and_in_line(
    service: JobService, jobs: JobRecords, queue: FailingQueue
) -> None:
    job = service.create("acme", REQUEST)
    assert jobs.get("acme", job.id) == job
    assert job.status is JobStatus.QUEUED
    assert job.hyperparameters == {
        "n_epochs": 10,
        "batch_size": 1,
        "learning_rate_multiplier": 1.0,
    }
    assert 0 <= job.seed < 2**31
    assert service.queue_positions(job) == {job.id: 1}
    assert len(service.events("acme", job.id, after=None, limit=10).items) == 2


@pytest.mark.parametrize(
    ("change", "error", "code", "param"),
    [
        ({"model": "other"}, NotFound, "model_not_found", "model"),
        ({"training_file": "file-none"}, NotFound, "not_found", "training_file"),
        ({"training_file": "file-rival"}, NotFound, "not_found", "training_file"),
        ({"training_file": "file-short"}, InvalidRequest, "invalid_file", "training_file"),
        ({"training_file": "file-other"}, InvalidRequest, "invalid_file", "training_file"),
        ({"validation_file": "file-none"}, NotFound, "not_found", "validation_file"),
        ({"validation_file": "file-other"}, InvalidRequest, "invalid_file", "validation_file"),
        ({"lora": LoraSpec(rank=17)}, InvalidRequest, "integer_above_max_value", "lora.rank"),
    ],
)
def test_a_job_that_cannot_run_is_refused_whole(
    service: JobService,
    queue: FailingQueue,
    change: dict[str, object],
    error: type[Exception],
    code: str,
    param: str,
) -> None:
    values = {"model": "base", "training_file": "file-good", **change}
    with pytest.raises(error) as raised:
        service.create("acme", JobRequest(**values))  # type: ignore[arg-type]
    assert (raised.value.code, raised.value.param) == (code, param)  # type: ignore[attr-defined]
    assert no_job(service)
    assert queue.claim(wait_s=0) is None


def test_a_short_validation_file_will_do(service: JobService) -> None:
    service.create(
        "acme", JobRequest(model="base", training_file="file-good", validation_file="file-short")
    )


@pytest.mark.promise("P9", fault="a job is created while Redis is away")
def test_without_a_queue_nothing_is_made(service: JobService, queue: FailingQueue) -> None:
    queue.gone = frozenset({"ping"})
    with pytest.raises(QueueUnavailable):
        service.create("acme", REQUEST)
    assert no_job(service)


@pytest.mark.promise("P1", fault="Redis goes away between the record and the line")
def test_a_recorded_job_is_confirmed_although_the_queue_went_away(
    service: JobService, queue: FailingQueue
) -> None:
    """An error would have the client send it again, and the reconciler puts it in line anyway."""
    queue.gone = frozenset({"enqueue"})
    job = service.create("acme", REQUEST)
    assert service.get("acme", job.id) == job


def test_jobs_can_be_read_without_a_queue(service: JobService, queue: FailingQueue) -> None:
    job = service.create("acme", REQUEST)
    queue.gone = frozenset({"positions"})
    assert service.queue_positions(job) == {}


@pytest.mark.promise("P13", fault="cancel twice")
@pytest.mark.parametrize("gone", [frozenset(), frozenset({"remove"})])
def test_cancelling_twice_gives_the_cancelled_job_both_times(
    service: JobService, queue: FailingQueue, gone: frozenset[str]
) -> None:
    job = service.create("acme", REQUEST)
    queue.gone = gone
    cancelled = service.cancel("acme", job.id)
    assert (cancelled.status, cancelled.finished_at) == (JobStatus.CANCELLED, NOW)
    assert service.cancel("acme", job.id) == cancelled
    assert (in_line(queue, [job.id]) == []) == (not gone)


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED])
def test_an_ended_job_cannot_be_cancelled(
    service: JobService, jobs: JobRecords, status: JobStatus
) -> None:
    job = service.create("acme", REQUEST)
    jobs.change(job.id, allowed=set(JobStatus), status=status)
    with pytest.raises(InvalidRequest) as raised:
        service.cancel("acme", job.id)
    assert raised.value.code == "job_not_cancellable"


def test_a_waiting_job_pauses_at_once_and_comes_back_to_its_place(
    service: JobService, queue: FailingQueue
) -> None:
    job = service.create("acme", REQUEST)
    queue.enqueue(an_entry("ftjob-later", created_at=NOW + 1))
    paused = service.pause("acme", job.id)
    assert paused == replace(job, status=JobStatus.PAUSED)
    assert service.pause("acme", job.id) == paused
    both = [job.id, "ftjob-later"]
    assert in_line(queue, both) == both[1:]
    resumed = replace(job, waiting_since=NOW)
    assert service.resume("acme", job.id) == resumed
    assert service.resume("acme", job.id) == resumed
    assert in_line(queue, both) == both
    messages = [
        event.message for event in service.events("acme", job.id, after=None, limit=2).items
    ]
    assert messages == ["The job is resumed", "The job is paused"]


def test_a_running_job_is_pausing_until_its_worker_says_otherwise(
    service: JobService, jobs: JobRecords, queue: FailingQueue
) -> None:
    job = service.create("acme", REQUEST)
    queue.remove(job.id)
    running = jobs.change(job.id, allowed=set(JobStatus), status=JobStatus.RUNNING, attempt=1)
    pausing = service.pause("acme", job.id)
    assert pausing.status is JobStatus.PAUSING
    assert service.pause("acme", job.id) == pausing
    assert service.resume("acme", job.id) == running, "the pause is taken back"
    assert service.resume("acme", job.id) == running
    assert in_line(queue, [job.id]) == []


@pytest.mark.promise("P13", fault="cancel in every state")
@pytest.mark.parametrize("status", sorted(UNFINISHED))
def test_a_job_can_be_cancelled_in_every_state(
    service: JobService, jobs: JobRecords, status: JobStatus
) -> None:
    job = service.create("acme", REQUEST)
    jobs.change(job.id, allowed=set(JobStatus), status=status)
    assert service.cancel("acme", job.id).status is JobStatus.CANCELLED


@pytest.mark.parametrize("gone", ["remove", "enqueue"])
def test_pausing_and_resuming_need_no_queue(
    service: JobService, queue: FailingQueue, gone: str
) -> None:
    """The record is what a worker asks before it begins, and the reconciler mends the line."""
    job = service.create("acme", REQUEST)
    queue.gone = frozenset({gone})
    assert service.pause("acme", job.id).status is JobStatus.PAUSED
    assert service.resume("acme", job.id).status is JobStatus.QUEUED


@pytest.mark.parametrize("status", sorted(FINAL))
def test_an_ended_job_is_neither_paused_nor_resumed(
    service: JobService, jobs: JobRecords, status: JobStatus
) -> None:
    job = service.create("acme", REQUEST)
    jobs.change(job.id, allowed=set(JobStatus), status=status)
    for act, code in ((service.pause, "job_not_pausable"), (service.resume, "job_not_resumable")):
        with pytest.raises(InvalidRequest) as raised:
            act("acme", job.id)
        assert (raised.value.code, raised.value.param) == (code, "fine_tuning_job_id")


def test_another_tenants_job_is_an_absent_one(service: JobService) -> None:
    job = service.create("acme", REQUEST)
    for look in (
        lambda: service.get("rival", job.id),
        lambda: service.cancel("rival", job.id),
        lambda: service.pause("rival", job.id),
        lambda: service.resume("rival", job.id),
        lambda: service.events("rival", job.id, after=None, limit=1),
        lambda: service.checkpoints("rival", job.id, after=None, limit=1),
    ):
        with pytest.raises(NotFound):
            look()


def test_a_cursor_that_is_not_in_the_list_is_refused(service: JobService) -> None:
    job = service.create("acme", REQUEST)
    for look in (
        lambda: service.list("acme", metadata={}, after="x", limit=1),
        lambda: service.events("acme", job.id, after="x", limit=1),
        lambda: service.checkpoints("acme", job.id, after="x", limit=1),
    ):
        with pytest.raises(InvalidRequest) as raised:
            look()
        assert raised.value.param == "after"


def no_job(service: JobService) -> bool:
    empty: tuple[Job, ...] = ()
    return service.list("acme", metadata={}, after=None, limit=10).items == empty
