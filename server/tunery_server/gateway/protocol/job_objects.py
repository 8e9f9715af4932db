"""``/v1/fine_tuning/jobs``: what a client gets."""

from typing import Any, Literal

from pydantic import ConfigDict

from tunery_adapters.spec import EvaluationSpec
from tunery_server.gateway.protocol.base import Answer, Listed, ListedBetween, seconds
from tunery_server.records.rows import Job, JobCheckpoint, JobEvent, JobStatus
from tunery_server.records.rows import JobMethod as Method


class JobHyperparameters(Answer):
    """What "auto" and what was not given became, too."""

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float


class PreferenceHyperparameters(JobHyperparameters):
    """Those, and beta."""

    beta: float


class SupervisedMethod(Answer):
    """The settings that the method had."""

    hyperparameters: JobHyperparameters


class DpoMethod(Answer):
    """The settings that the method had."""

    hyperparameters: PreferenceHyperparameters


class JobMethod(Answer):
    """How the job trains."""

    type: Literal["supervised", "dpo"]
    supervised: SupervisedMethod | None = None
    dpo: DpoMethod | None = None
    reinforcement: None = None

    @classmethod
    def of(cls, job: Job) -> "JobMethod":
        """From its record."""
        if job.method is Method.DPO:
            preferences = PreferenceHyperparameters(**job.hyperparameters)
            return cls(type="dpo", dpo=DpoMethod(hyperparameters=preferences))
        numbers = JobHyperparameters(**job.hyperparameters)
        return cls(type="supervised", supervised=SupervisedMethod(hyperparameters=numbers))


class JobError(Answer):
    """Why a job failed."""

    code: str
    message: str
    param: str | None


class WandbRun(Answer):
    """Where a run would be shown."""

    project: str
    name: str | None = None
    entity: str | None = None
    tags: tuple[str, ...] | None = None


class JobIntegration(Answer):
    """As it was asked for."""

    type: Literal["wandb"]
    wandb: WandbRun


class FineTuningJob(Answer):
    """A job. From ``lora`` on the fields are ours.

    ``queue_position`` is a waiting job's place among its tenant's own.
    """

    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    model: str
    fine_tuned_model: str | None
    organization_id: str
    status: JobStatus
    hyperparameters: JobHyperparameters
    method: JobMethod
    training_file: str
    validation_file: str | None
    result_files: tuple[str, ...]
    trained_tokens: int | None
    finished_at: int | None
    estimated_finish: int | None
    seed: int
    error: JobError | None
    integrations: tuple[JobIntegration, ...] | None
    metadata: dict[str, str] | None
    lora: dict[str, Any]
    training: dict[str, Any]
    progress: dict[str, Any] | None
    priority: int
    queue_position: int | None
    attempt: int
    timings: dict[str, float] | None

    @classmethod
    def of(cls, job: Job, queue_position: int | None = None) -> "FineTuningJob":
        """From its record."""
        return cls(
            id=job.id,
            created_at=int(job.created_at),
            model=job.parent or job.model,
            fine_tuned_model=job.fine_tuned_model,
            organization_id=job.tenant_id,
            status=job.status,
            hyperparameters=JobHyperparameters(**job.hyperparameters),
            method=JobMethod.of(job),
            training_file=job.training_file,
            validation_file=job.validation_file,
            result_files=job.result_files,
            trained_tokens=job.trained_tokens,
            finished_at=seconds(job.finished_at),
            estimated_finish=seconds(job.estimated_finish),
            seed=job.seed,
            error=None if job.error is None else JobError(**job.error),
            metadata=job.metadata,
            integrations=_integrations(job),
            lora=job.lora,
            training=job.training or EvaluationSpec().model_dump(mode="json"),
            progress=job.progress,
            priority=job.priority,
            queue_position=queue_position,
            attempt=job.attempt,
            timings=job.timings,
        )


class Event(Answer):
    """One line of a job's history."""

    id: str
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, Any] | None

    @classmethod
    def of(cls, event: JobEvent) -> "Event":
        """From its record."""
        return cls(
            id=event.id,
            created_at=int(event.created_at),
            level=event.level,
            message=event.message,
            type=event.type,
            data=event.data,
        )


class CheckpointMetrics(Answer):
    """What was measured at the step; with the trainer's own measures beside OpenAI's."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    step: float
    train_loss: float | None = None
    train_mean_token_accuracy: float | None = None
    valid_loss: float | None = None
    valid_mean_token_accuracy: float | None = None
    full_valid_loss: float | None = None
    full_valid_mean_token_accuracy: float | None = None


class Checkpoint(Answer):
    """A checkpoint that is served under its own name."""

    id: str
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    step_number: int
    metrics: CheckpointMetrics

    @classmethod
    def of(cls, checkpoint: JobCheckpoint) -> "Checkpoint":
        """From its record."""
        return cls(
            id=checkpoint.id,
            created_at=int(checkpoint.created_at),
            fine_tuned_model_checkpoint=checkpoint.model,
            fine_tuning_job_id=checkpoint.job_id,
            step_number=checkpoint.step,
            metrics=CheckpointMetrics(**{"step": checkpoint.step, **checkpoint.metrics}),
        )


class JobList(Listed[FineTuningJob]):
    """A page of jobs."""


class EventList(Listed[Event]):
    """A page of events."""


class CheckpointList(ListedBetween[Checkpoint]):
    """A page of checkpoints."""


def _integrations(job: Job) -> tuple[JobIntegration, ...] | None:
    if job.integrations is None:
        return None
    return tuple(JobIntegration(**integration) for integration in job.integrations)
