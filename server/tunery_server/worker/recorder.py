"""Writes what a trainer says into the job: events, progress, checkpoints.

Every write carries the attempt, and fails with LeaseLost once another attempt, or nobody, owns the
job. Blocking.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tunery_adapters.reports import (
    AnyReport,
    Checkpoint,
    DataReport,
    Evaluation,
    Finished,
    Loaded,
    Plan,
    SkippedCheckpoint,
    Step,
)
from tunery_server.errors import LeaseLost
from tunery_server.ids import new_id
from tunery_server.jobs.line import again
from tunery_server.jobs.speed import MEAN_RATE
from tunery_server.jobs.transitions import RELEASE
from tunery_server.records.job_history import JobHistory, Note
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import HELD, Adapter, File, Job, JobCheckpoint, JobStatus
from tunery_server.records.work import Work

_LOST = "The job is no longer this worker's."
_PAUSED = "The job is paused; it goes on from its checkpoint when it is resumed"
_STOPPING = "The trainer was stopped; the job goes on from its checkpoint"


class Recorder:
    """The record of one attempt at one job; ``model`` is the name of the adapter to be."""

    def __init__(
        self,
        job: Job,
        *,
        model: str,
        jobs: JobRecords,
        history: JobHistory,
        clock: Callable[[], float],
    ) -> None:
        self.job = job
        self._model = model
        self._jobs = jobs
        self._history = history
        self._clock = clock
        self._tokens = 0

    def check(self) -> Job:
        """The job as it is now. Raises LeaseLost unless this attempt still owns it."""
        job = self._jobs.get_any(self.job.id)
        if job is None or job.status not in HELD or job.attempt != self.job.attempt:
            raise LeaseLost(_LOST)
        return job

    def write(self, **values: Any) -> Job:
        """Change the job. Raises LeaseLost."""
        return _ours(
            self._jobs.change(self.job.id, allowed=HELD, in_attempt=self.job.attempt, **values)
        )

    def release(self) -> None:
        """Give the job up unfinished: paused if that was asked for, else back in line.

        Raises LeaseLost.
        """
        _ours(
            self._jobs.move(
                self.job.id,
                RELEASE,
                in_attempt=self.job.attempt,
                notes={
                    JobStatus.PAUSED: self._noted(_PAUSED),
                    JobStatus.QUEUED: self._noted(_STOPPING),
                },
                waiting_since=again(self.check(), self._clock()),
                estimated_finish=None,
            )
        )

    def succeed(self, adapter: Adapter, results: File) -> None:
        """End the job with what it made. Raises LeaseLost."""
        note = self._noted("The job has successfully completed")
        self.note(f"New fine-tuned model created: {adapter.model}")
        _ours(
            self._jobs.succeed(
                self.job.id,
                in_attempt=self.job.attempt,
                adapter=adapter,
                results=results,
                note=note,
            )
        )

    def fail(self, *, code: str, message: str, param: str | None) -> None:
        """End the job with an error. Raises LeaseLost."""
        note = self._noted(f"The job failed: {message}", level="error")
        self.write(
            note=note,
            status=JobStatus.FAILED,
            finished_at=note.created_at,
            estimated_finish=None,
            error={"code": code, "message": message, "param": param},
        )

    def checkpoint(self, checkpoint: JobCheckpoint, adapter: Adapter) -> None:
        """Register a checkpoint's adapter. Raises LeaseLost."""
        attempt = self.job.attempt
        if not self._history.add_checkpoint(checkpoint, adapter, attempt=attempt):
            raise LeaseLost(_LOST)

    def note(
        self, message: str, *, level: str = "info", data: dict[str, Any] | None = None
    ) -> None:
        """Add an event. Raises LeaseLost."""
        self._add(message, level=level, data=data)

    def timing(self, **times: float) -> None:
        """Add points in time (Unix seconds) to the job's timings. Raises LeaseLost."""
        job = self._jobs.get_any(self.job.id)
        known = job.timings or {} if job is not None else {}
        self.write(timings={**known, **times})

    def report(self, report: AnyReport) -> None:
        """Record what the trainer said. Raises LeaseLost."""
        match report:
            case SkippedCheckpoint():
                self._skipped(report)
            case Loaded():
                self._loaded(report)
            case DataReport():
                self._data(report)
            case Plan():
                self._plan(report)
            case Step():
                self._step(report)
            case Evaluation():
                self._evaluation(report)
            case Checkpoint():
                self.note(f"Checkpoint at step {report.step}")
            case Finished():
                self._finished(report)

    def _skipped(self, report: SkippedCheckpoint) -> None:
        self.note(
            f"Checkpoint {report.name} is damaged ({report.reason}) and was skipped",
            level="warn",
            data=_data(report),
        )

    def _loaded(self, report: Loaded) -> None:
        text = f"Training {report.trainable_parameters} parameters on {report.device}"
        if report.resumed_from_step is not None:
            text += f", going on from step {report.resumed_from_step}"
        self.timing(training_started_at=self._clock())
        self.note(text, data=_data(report))

    def _data(self, report: DataReport) -> None:
        share = report.trained_tokens / max(1, report.tokens)
        text = (
            f"{report.split.capitalize()} file: {report.examples} examples, "
            f"{report.tokens} tokens, {share:.0%} of them trained on"
        )
        data = {**_data(report), "trained_share": round(share, 4)}
        self.note(text, data=data)
        if report.truncated_examples or report.dropped_examples:
            self.note(
                f"{report.truncated_examples} examples were cut at the longest length "
                f"({report.truncated_tokens} tokens lost) and {report.dropped_examples} dropped, "
                "for nothing to train on was left of them",
                level="warn",
            )

    def _plan(self, report: Plan) -> None:
        self.note(
            f"{report.total_steps} steps: {report.n_epochs} epochs of {report.steps_per_epoch}, "
            f"batch size {report.batch_size}, learning rate {report.learning_rate:.2e}",
            data=_data(report),
        )

    def _step(self, report: Step) -> None:
        data = _data(report)
        self._tokens += report.tokens
        text = f"Step {report.step}/{report.total_steps}: training loss={report.train_loss:.4f}"
        note = replace(self._noted(text), type="metrics", data=data)
        self._advance(
            report,
            note=note,
            progress=data,
            estimated_finish=note.created_at + report.seconds_left,
        )

    def _evaluation(self, report: Evaluation) -> None:
        self._add(
            f"Step {report.step}: validation loss={report.valid_loss:.4f}",
            type="metrics",
            data=_data(report),
        )

    def _finished(self, report: Finished) -> None:
        self.timing(last_step_at=report.last_step_at)
        progress = (
            (self.check().progress or {})
            | self._mean_rate()
            | {
                "kept_step": report.step,
                "stop_reason": report.stop_reason,
            }
        )
        self._advance(report, trained_tokens=report.trained_tokens, progress=progress)
        if report.stop_reason == "early_stopping":
            text = f"Stopped early at step {report.last_step}: the validation loss got no better"
            self.note(text)
        if report.last_step not in {None, report.step}:
            text = (
                f"Kept the adapter of step {report.step}, the one with the lowest validation loss"
            )
            self.note(text, data={"step": report.step, "valid_loss": report.valid_loss})

    def _mean_rate(self) -> dict[str, float]:
        """Tokens a second of this attempt, with all that was done between its steps."""
        timings = self.check().timings or {}
        seconds = timings["last_step_at"] - timings.get("training_started_at", self._clock())
        return {MEAN_RATE: self._tokens / seconds} if self._tokens and seconds > 0 else {}

    def _advance(self, report: Step | Finished, **values: Any) -> None:
        """Change the job, and count for its tenant what it has taken up to this report."""
        work = Work(
            trained_tokens=report.trained_tokens,
            training_s=report.training_s,
            energy_j=report.energy_j,
        )
        _ours(
            self._jobs.advance(
                self.job.id,
                in_attempt=self.job.attempt,
                work=work,
                model=self._model,
                now=self._clock(),
                **values,
            )
        )

    def _add(self, message: str, **values: Any) -> None:
        written = self._history.add_event(
            self.job.id,
            event_id=new_id("ftevent-"),
            created_at=self._clock(),
            message=message,
            attempt=self.job.attempt,
            **values,
        )
        if not written:
            raise LeaseLost(_LOST)

    def _noted(self, message: str, *, level: str = "info") -> Note:
        return Note(id=new_id("ftevent-"), created_at=self._clock(), message=message, level=level)


def _ours(job: Job | None) -> Job:
    """The job as a write left it, unless the write was refused."""
    if job is None:
        raise LeaseLost(_LOST)
    return job


def _data(report: AnyReport) -> dict[str, Any]:
    return report.model_dump(exclude={"type"}, exclude_none=True)
