"""What holds of a job whatever died while it was made, run and published.

:func:`watched` looks while it runs, :func:`hold` once it has ended. Each invariant is a function
of its own, so that a test may ask for one.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.stack import JOB_S, Stack
from tests.queues import until
from tests.servers import alive, descendants
from tunery_adapters.store import AdapterStore
from tunery_server.ids import new_id
from tunery_server.jobs.transitions import FINAL
from tunery_server.records.rows import HELD, Job, JobEvent, JobStatus
from tunery_server.records.usage_rows import UsageQuery
from tunery_server.records.work import counted

CLEAN_S = 30.0
VIRTUAL_TIME = b"{tunery}:clock"
_FIRST_PROCESS = 1
LAST_WORDS = {
    JobStatus.SUCCEEDED: "The job has successfully completed",
    JobStatus.FAILED: "The job failed: ",
    JobStatus.CANCELLED: "The job was cancelled",
}


@dataclass(frozen=True, slots=True)
class Work:
    """What a job made: the hash of its weights, and what was counted."""

    sha256: str
    trained_tokens: int | None
    steps: int


def work_of(stack: Stack, job: Job) -> Work:
    """Of a job that succeeded."""
    assert job.fine_tuned_model is not None
    adapter = stack.adapters.get(job.tenant_id, job.fine_tuned_model)
    assert adapter is not None
    return Work(adapter.sha256, job.trained_tokens, (job.progress or {})["step"])


def watched(stack: Stack, job_id: str, *, within_s: float = JOB_S) -> Job:
    """The job in its final state; on the way its attempts only grew, and older ones were refused.

    The refusal is tried out: a write of every earlier attempt, whenever a new one is seen to run.
    """
    seen = 0

    def ended(job: Job) -> bool:
        nonlocal seen
        assert job.attempt >= seen, f"attempt {seen} came before attempt {job.attempt}"
        if job.attempt > seen and job.status in HELD:
            refuses_older_attempts(stack, job)
        seen = job.attempt
        return job.status in FINAL

    return stack.job_when(job_id, ended, within_s=within_s)


def hold(stack: Stack, job: Job, undisturbed: Work | None = None) -> None:
    """All that holds of a job that has ended; ``undisturbed`` came of a run without a fault."""
    has_one_final_state(stack, job)
    refuses_older_attempts(stack, job)
    has_whole_history(stack, job)
    is_counted_once(stack, job)
    if job.status is JobStatus.SUCCEEDED:
        has_one_version(stack, job)
        has_one_result_file(stack, job)
        assert undisturbed in {None, work_of(stack, job)}
    else:
        has_no_version(stack, job)
    leaves_nothing(stack)


def has_one_final_state(stack: Stack, job: Job) -> None:
    """It is final, it stays, and no other job came of the same request."""
    assert job.status in FINAL
    assert job.finished_at is not None
    assert stack.job(job.id).status is job.status
    for status in JobStatus:
        changed = stack.jobs.change(job.id, allowed=set(JobStatus) - FINAL, status=status)
        assert changed is None


def refuses_older_attempts(stack: Stack, job: Job) -> None:
    """No attempt before the present one writes to the job or to its history."""
    for attempt in range(job.attempt):
        changed = stack.jobs.change(job.id, allowed=HELD, in_attempt=attempt, trained_tokens=-1)
        assert changed is None, f"attempt {attempt} wrote into attempt {job.attempt}"
        event = {"event_id": new_id("ftevent-"), "created_at": 0.0, "message": "too late"}
        assert not stack.history.add_event(job.id, **event, attempt=attempt)


def is_counted_once(stack: Stack, job: Job) -> None:
    """The tenant's usage has what the job has counted; of one that succeeded, every token once."""
    work = counted(job)
    asked = UsageQuery(start=0, end=2**40, by=("model",), tenants=[job.tenant_id])
    rows = stack.services.usage.sums(asked)
    mine = [row.amounts for row in rows if row.key.model.endswith(_identity(job))]
    assert sum(amounts.trained_tokens for amounts in mine) == work.trained_tokens
    assert sum(amounts.training_s for amounts in mine) == pytest.approx(work.training_s)
    if job.status is JobStatus.SUCCEEDED:
        assert work.trained_tokens == job.trained_tokens


def has_one_version(stack: Stack, job: Job) -> None:
    """One version, registered and published; its file is what its hash says."""
    assert job.fine_tuned_model is not None
    adapter = stack.adapters.get(job.tenant_id, job.fine_tuned_model)
    assert adapter is not None
    assert adapter.job_id == job.id
    store = AdapterStore(stack.home / "adapters")
    assert [path.name for path in _versions(stack, job)] == ["v1"]
    manifest = store.verify(adapter.adapter_id, adapter.version)
    assert adapter.sha256 in {record.sha256 for record in manifest.files.values()}


def has_no_version(stack: Stack, job: Job) -> None:
    """A job that did not succeed has no final adapter: not in the record, not on the disk."""
    assert job.fine_tuned_model is None
    page = stack.adapters.list(job.tenant_id)
    final = [adapter for adapter in page.items if adapter.adapter_id == _adapter_id(job)]
    assert final == []
    until(lambda: _versions(stack, job) == [], within_s=CLEAN_S)


def has_whole_history(stack: Stack, job: Job) -> None:
    """Events are numbered without a gap, and the last one, and no other, tells of the end."""
    events = history(stack, job)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    said = messages(stack, job)
    ends = [message for message in said if message.startswith(tuple(LAST_WORDS.values()))]
    assert ends == said[-1:], said
    assert said[-1].startswith(LAST_WORDS[job.status]), said


def history(stack: Stack, job: Job) -> list[JobEvent]:
    """A job's events, oldest first."""
    return list(reversed(stack.history.events(job.id, after=None, limit=10_000).items))


def messages(stack: Stack, job: Job) -> list[str]:
    """What they say."""
    return [event.message for event in history(stack, job)]


def has_one_result_file(stack: Stack, job: Job) -> None:
    """The file that the job names is there, and no second one that nobody names."""
    page = stack.services.files.list(
        job.tenant_id, purpose="fine-tune-results", after=None, limit=100, ascending=True
    )
    named = [
        file_id
        for each in stack.jobs.with_status(FINAL)
        for file_id in each.result_files
        if each.tenant_id == job.tenant_id
    ]
    assert sorted(file.id for file in page.items) == sorted(named)
    [mine] = job.result_files
    stack.services.files.content(job.tenant_id, mine)


def leaves_nothing(stack: Stack) -> None:
    """Half a minute later no trainer, no temporary file, no lock and no lease is left."""
    until(lambda: not trainers(stack), within_s=CLEAN_S)
    until(lambda: not temporary(stack.home), within_s=CLEAN_S)
    until(lambda: not stack.queue.leased() and not leases(stack), within_s=CLEAN_S)
    for key in set(stack.redis.scan_iter("*lock*")) - {VIRTUAL_TIME}:
        assert stack.redis.ttl(key) != -1, key


def temporary(home: Path) -> list[Path]:
    """Names that only something under way has, and what a trainer keeps while its job runs."""
    patterns = ("**/.tmp-*", "files/.*.incoming", "jobs/*/checkpoints", "jobs/*/adapter")
    try:
        return [path for pattern in patterns for path in home.glob(pattern)]
    except FileNotFoundError as gone:  # a folder is being removed: look again
        return [Path(gone.filename)]


def leases(stack: Stack) -> list[bytes]:
    """Jobs of which the queue still knows something, and tenants whose jobs it thinks run."""
    return [
        key for name in ("job", "running") for key in stack.redis.scan_iter(f"{{tunery}}:{name}:*")
    ]


def trainers(stack: Stack) -> list[int]:
    """Processes that work in a job's folder, whoever is their parent by now."""
    folder = str(stack.home / "jobs")
    return alive(pid for pid, line in descendants(_FIRST_PROCESS).items() if folder in line)


def _adapter_id(job: Job) -> str:
    return f"ad-{job.id.rpartition('-')[2]}"


def _identity(job: Job) -> str:
    """With what the name of a job's final adapter ends."""
    return f":{job.id.rpartition('-')[2][:16]}"


def _versions(stack: Stack, job: Job) -> list[Path]:
    return sorted((stack.home / "adapters" / _adapter_id(job)).glob("*"))
