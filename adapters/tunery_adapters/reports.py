"""What a trainer says while it works: one JSON object a line on its standard output.

The worker parses each line with :data:`REPORT`; a line that does not parse is a fault of the
trainer. Reports come in this order: ``skipped_checkpoint`` if there is need, ``loaded``, ``data``
(once per split), ``plan``, then ``step``, ``evaluation`` and ``checkpoint`` as training goes, and
``finished``, ``stopped`` or ``failed`` last.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

EXIT_STOPPED = 75
"""Exit status after SIGTERM: a checkpoint was written and the job can go on (EX_TEMPFAIL)."""

EXIT_ABANDONED = 76
"""Exit status without a sign of life of the worker: nothing was written, the job can go on."""

StopReason: TypeAlias = Literal["completed", "early_stopping"]


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainingMetrics(BaseModel):
    """Of one optimiser step, before its update. Losses are in nats.

    Preferences have an accuracy, the share of pairs that are ranked right, and a margin, how much
    more the chosen answer is rewarded than the other; other data has a token accuracy, the share of
    supervised tokens that the model puts first.
    """

    train_loss: float
    train_mean_token_accuracy: float | None = None
    train_accuracy: float | None = None
    train_reward_margin: float | None = None


class ValidationMetrics(BaseModel):
    """The same over the whole validation file."""

    valid_loss: float | None = None
    valid_mean_token_accuracy: float | None = None
    valid_accuracy: float | None = None
    valid_reward_margin: float | None = None


class Spent(BaseModel):
    """What a job has taken so far, over all its attempts, less what was lost and is done again."""

    training_s: float = 0.0
    """From the loaded base model on, with evaluations and checkpoints."""
    energy_j: float | None = None
    """Of the device, whatever else it did meanwhile; None where it has no counter."""

    def __add__(self, other: "Spent") -> "Spent":
        known = [joules for joules in (self.energy_j, other.energy_j) if joules is not None]
        return Spent(
            training_s=self.training_s + other.training_s, energy_j=sum(known) if known else None
        )


class SkippedCheckpoint(_Report):
    """A checkpoint is damaged and was removed. To go on, the one before it is used."""

    type: Literal["skipped_checkpoint"] = "skipped_checkpoint"
    name: str
    reason: str


class Loaded(_Report):
    """The base model is in memory and the adapter is attached."""

    type: Literal["loaded"] = "loaded"
    device: str
    dtype: str
    trainable_parameters: int
    resumed_from_step: int | None = None


class DataReport(_Report):
    """What one file turned into. ``trained_tokens`` are those under the loss, in one epoch."""

    type: Literal["data"] = "data"
    split: Literal["training", "validation"]
    examples: int
    tokens: int
    trained_tokens: int
    truncated_examples: int
    truncated_tokens: int
    dropped_examples: int
    """Examples in which truncation left no token to train on."""


class Plan(_Report):
    """What will be done; ``learning_rate`` is the peak, after warm-up."""

    type: Literal["plan"] = "plan"
    total_steps: int
    steps_per_epoch: int
    n_epochs: int
    batch_size: int
    learning_rate: float


class Step(TrainingMetrics, Spent, _Report):
    """One optimiser step.

    ``tokens`` are those of the step's examples; ``tokens_per_s`` is their rate over recent steps.
    A prefix that examples share counts in each, though it is computed once. ``trained_tokens`` are
    those under the loss in all steps up to this one.
    """

    type: Literal["step"] = "step"
    step: int
    total_steps: int
    epoch: float
    learning_rate: float
    tokens: int
    trained_tokens: int
    tokens_per_s: float
    seconds_left: float


class Evaluation(ValidationMetrics, _Report):
    """Loss over the whole validation file, a mean over its supervised tokens or its pairs."""

    type: Literal["evaluation"] = "evaluation"
    step: int
    valid_loss: float


class Checkpoint(TrainingMetrics, ValidationMetrics, _Report):
    """A complete checkpoint. ``adapter_path`` is a PEFT folder inside it."""

    type: Literal["checkpoint"] = "checkpoint"
    step: int
    adapter_path: str


class Finished(Spent, _Report):
    """``last_step_at`` is Unix time of the last optimiser step, for the train-to-serve figure."""

    type: Literal["finished"] = "finished"
    step: int
    """The step whose adapter was kept."""
    adapter_path: str
    trained_tokens: int
    """Supervised tokens over all that was trained on, what a bill would count."""
    last_step_at: float
    last_step: int | None = None
    """The last step that was taken."""
    stop_reason: StopReason = "completed"
    valid_loss: float | None = None
    """Of the adapter that was kept, when it was kept as the best."""


class Stopped(_Report):
    """Asked to stop by SIGTERM; ``step`` is the checkpoint to go on from (0: none was needed)."""

    type: Literal["stopped"] = "stopped"
    step: int


class Failed(_Report):
    """``code``: out_of_memory, invalid_file, invalid_model, storage_full or trainer_error."""

    type: Literal["failed"] = "failed"
    code: str
    message: str
    param: str | None = None


AnyReport = (
    SkippedCheckpoint
    | Loaded
    | DataReport
    | Plan
    | Step
    | Evaluation
    | Checkpoint
    | Finished
    | Stopped
    | Failed
)

REPORT: TypeAdapter[AnyReport] = TypeAdapter(Annotated[AnyReport, Field(discriminator="type")])
