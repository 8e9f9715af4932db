from typing import Any

import pytest

from tests.rows import a_job
from tunery_adapters.reports import REPORT, AnyReport
from tunery_server.errors import LeaseLost
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Job, JobStatus
from tunery_server.worker.recorder import Recorder

from .conftest import StoppedClock

MODEL = "ft:base:tunery:pirate:1"


@pytest.fixture
def job(jobs: JobRecords) -> Job:
    job = a_job(status=JobStatus.RUNNING, attempt=2)
    jobs.add(job)
    return job


@pytest.fixture
def recorder(job: Job, jobs: JobRecords, history: JobHistory, clock: StoppedClock) -> Recorder:
    return Recorder(job, model=MODEL, jobs=jobs, history=history, clock=clock)


def test_a_finished_job_keeps_its_mean_speed(
    recorder: Recorder, job: Job, jobs: JobRecords, clock: StoppedClock
) -> None:
    loaded = {"type": "loaded", "device": "cpu", "dtype": "float32", "trainable_parameters": 1}
    recorder.report(report(**loaded))
    for step in (1, 2):
        recorder.report(report(**{**STEP, "step": step}))
    ended = {"type": "finished", "step": 2, "adapter_path": "/a", "trained_tokens": 9}
    recorder.report(report(**ended, last_step_at=clock.now + 4.0))
    found = jobs.get_any(job.id)
    assert found is not None
    assert found.progress is not None
    assert found.progress["mean_tokens_per_s"] == 20 / 4.0


STEP: dict[str, Any] = {
    "type": "step",
    "step": 1,
    "total_steps": 4,
    "epoch": 0.25,
    "train_loss": 1.5,
    "train_mean_token_accuracy": 0.5,
    "learning_rate": 1e-4,
    "tokens": 10,
    "trained_tokens": 4,
    "training_s": 2.0,
    "tokens_per_s": 5.0,
    "seconds_left": 30.0,
}
DATA = {
    "type": "data",
    "split": "training",
    "examples": 4,
    "tokens": 100,
    "trained_tokens": 25,
    "truncated_examples": 0,
    "truncated_tokens": 0,
    "dropped_examples": 0,
}


def report(**values: Any) -> AnyReport:
    return REPORT.validate_python(values)


def messages(history: JobHistory, job: Job) -> list[tuple[str, str]]:
    page = history.events(job.id, after=None, limit=100)
    assert page is not None
    return [(event.level, event.message) for event in reversed(page.items)]


def test_a_step_becomes_progress_and_a_metrics_event(
    recorder: Recorder, job: Job, jobs: JobRecords, history: JobHistory, clock: StoppedClock
) -> None:
    recorder.report(report(**STEP))
    said = {name: value for name, value in STEP.items() if name != "type"}
    now = jobs.get_any(job.id)
    assert now is not None
    assert now.progress == said
    assert now.estimated_finish == clock() + 30.0
    assert history.metrics(job.id) == (said,)
    assert messages(history, job) == [("info", "Step 1/4: training loss=1.5000")]


def test_the_share_of_trained_tokens_is_told(
    recorder: Recorder, job: Job, history: JobHistory
) -> None:
    recorder.report(report(**DATA))
    [(_, message)] = messages(history, job)
    assert "4 examples" in message
    assert "25%" in message


@pytest.mark.parametrize("cut", [{"truncated_examples": 2}, {"dropped_examples": 1}])
def test_truncation_is_never_silent(
    recorder: Recorder, job: Job, history: JobHistory, cut: dict[str, int]
) -> None:
    recorder.report(report(**{**DATA, **cut}))
    [_, (level, message)] = messages(history, job)
    assert level == "warn"
    assert "cut" in message


def test_times_and_tokens_are_written(
    recorder: Recorder, job: Job, jobs: JobRecords, clock: StoppedClock
) -> None:
    recorder.report(report(type="loaded", device="cpu", dtype="bfloat16", trainable_parameters=10))
    recorder.report(
        report(type="finished", step=4, adapter_path="/a", trained_tokens=99, last_step_at=5.0)
    )
    now = jobs.get_any(job.id)
    assert now is not None
    assert now.trained_tokens == 99
    assert now.timings == {"training_started_at": clock(), "last_step_at": 5.0}


def test_a_resumed_run_says_so(recorder: Recorder, job: Job, history: JobHistory) -> None:
    values = {"device": "cpu", "dtype": "bfloat16", "trainable_parameters": 10}
    recorder.report(report(type="loaded", resumed_from_step=7, **values))
    assert "from step 7" in messages(history, job)[0][1]


def test_a_skipped_checkpoint_is_a_warning(
    recorder: Recorder, job: Job, history: JobHistory
) -> None:
    reason = "optimizer.safetensors has changed"
    recorder.report(report(type="skipped_checkpoint", name="recovery-5", reason=reason))
    [(level, message)] = messages(history, job)
    assert level == "warn"
    assert message == f"Checkpoint recovery-5 is damaged ({reason}) and was skipped"


def test_the_end_says_which_step_was_kept_and_why_it_came(
    recorder: Recorder, job: Job, jobs: JobRecords, history: JobHistory
) -> None:
    recorder.report(report(**STEP))
    end = {"adapter_path": "/a", "trained_tokens": 99, "last_step_at": 5.0}
    kept = {"step": 4, "last_step": 9, "stop_reason": "early_stopping", "valid_loss": 0.5}
    recorder.report(report(type="finished", **end, **kept))
    [_, (_, early), (_, best)] = messages(history, job)
    assert early == "Stopped early at step 9: the validation loss got no better"
    assert best == "Kept the adapter of step 4, the one with the lowest validation loss"
    now = jobs.get_any(job.id)
    assert now is not None
    assert now.progress is not None
    assert now.progress["step"] == 1
    assert (now.progress["kept_step"], now.progress["stop_reason"]) == (4, "early_stopping")


@pytest.mark.parametrize(
    "change",
    [
        {"status": JobStatus.CANCELLED},
        {"attempt": 3},
        {"status": JobStatus.QUEUED},
        {"status": JobStatus.PAUSED},
    ],
    ids=["cancelled", "taken-over", "requeued", "paused"],
)
def test_nothing_is_written_to_a_job_that_is_no_longer_ours(
    recorder: Recorder, job: Job, jobs: JobRecords, history: JobHistory, change: dict[str, Any]
) -> None:
    theirs = jobs.change(job.id, allowed=set(JobStatus), **change)
    finished = report(
        type="finished", step=4, adapter_path="/a", trained_tokens=99, last_step_at=5.0
    )
    for write in (
        recorder.check,
        recorder.release,
        lambda: recorder.note("late"),
        lambda: recorder.write(progress={}),
        lambda: recorder.timing(loaded_at=1.0),
        lambda: recorder.report(report(**STEP)),
        lambda: recorder.report(report(**DATA)),
        lambda: recorder.report(finished),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert jobs.get_any(job.id) == theirs
    assert messages(history, job) == []
