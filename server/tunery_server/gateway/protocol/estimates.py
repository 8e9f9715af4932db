"""``/v1/fine_tuning/jobs/estimate`` and ``/preview``."""

from typing import Any, Literal

from pydantic import Field

from tunery_adapters.survey import Lengths, ShownRow, ShownSequence, Survey, Truncated
from tunery_server.gateway.protocol.base import Answer
from tunery_server.gateway.protocol.jobs import CreateJob
from tunery_server.jobs.estimate import Estimate
from tunery_server.jobs.speed import Seconds


class PreviewJob(CreateJob):
    """A fine-tune, and which rows of its training file to show."""

    offset: int = Field(default=0, ge=0, le=1_000_000)
    limit: int = Field(default=5, ge=1, le=50)


class EstimatedTokens(Answer):
    """Of the training file: in one epoch and in all; and of the validation file."""

    epoch: int
    trained_epoch: int
    total: int
    trained_total: int
    validation: int | None


class EstimatedSteps(Answer):
    """Of the optimiser."""

    epoch: int
    total: int


class Truncation(Answer):
    """What is cut off: the tokens of a sequence behind its first ``max_length``."""

    max_length: int
    rows: int
    tokens: int
    dropped_examples: int
    first: tuple[Truncated, ...]

    @classmethod
    def of(cls, survey: Survey, max_length: int) -> "Truncation":
        """From the counts of a file."""
        return cls(
            max_length=max_length,
            rows=survey.truncated_rows,
            tokens=survey.truncated_tokens,
            dropped_examples=survey.dropped_examples,
            first=survey.truncated,
        )


class EstimatedMemory(Answer):
    """An upper bound, and whether a worker's machine has as much; null where it is not known."""

    bytes: int | None
    largest_machine_bytes: int | None
    fits: bool | None
    reason: str | None
    param: str | None


class EstimatedSeconds(Answer):
    """Once a worker has the job; ``measured`` on earlier ``jobs`` here, or ``computed``."""

    expected: float
    low: float
    high: float
    basis: Literal["measured", "computed"]
    jobs: int

    @classmethod
    def of(cls, seconds: Seconds) -> "EstimatedSeconds":
        """Rounded to a tenth."""
        return cls(
            expected=round(seconds.expected, 1),
            low=round(seconds.low, 1),
            high=round(seconds.high, 1),
            basis=seconds.basis,
            jobs=seconds.jobs,
        )


class JobEstimate(Answer):
    """What a job would come to. ``sampled``: counted on ``rows_read`` rows, drawn at random."""

    object: Literal["fine_tuning.job.estimate"] = "fine_tuning.job.estimate"
    model: str
    hyperparameters: dict[str, Any]
    rows: int
    rows_read: int
    sampled: bool
    examples: int
    longest_sequence: int
    tokens: EstimatedTokens
    steps: EstimatedSteps
    truncation: Truncation
    memory: EstimatedMemory
    seconds: EstimatedSeconds | None
    adapter_bytes: int | None

    @classmethod
    def of(cls, estimate: Estimate) -> "JobEstimate":
        """As the service computed it."""
        survey = estimate.survey
        return cls(
            model=estimate.job.parent or estimate.job.model,
            hyperparameters=estimate.job.hyperparameters,
            rows=survey.rows,
            rows_read=survey.rows_read,
            sampled=not survey.is_whole,
            examples=estimate.examples,
            longest_sequence=estimate.longest,
            tokens=_tokens(estimate),
            steps=EstimatedSteps(
                epoch=estimate.steps_per_epoch, total=estimate.steps_per_epoch * estimate.epochs
            ),
            truncation=Truncation.of(survey, estimate.max_length),
            memory=_memory(estimate),
            seconds=None if estimate.seconds is None else EstimatedSeconds.of(estimate.seconds),
            adapter_bytes=estimate.adapter_bytes,
        )


class ShownToken(Answer):
    """A token; ``trained`` says whether predicting it is under the loss."""

    text: str
    id: int
    trained: bool


class PreviewSequence(Answer):
    """One sequence; ``truncated_tokens`` were cut off its end."""

    role: Literal["example", "chosen", "rejected"]
    tokens: tuple[ShownToken, ...]
    truncated_tokens: int
    dropped: bool

    @classmethod
    def of(cls, sequence: ShownSequence) -> "PreviewSequence":
        """As the trainer would see it."""
        return cls(
            role=sequence.role,
            tokens=tuple(ShownToken(**token._asdict()) for token in sequence.tokens),
            truncated_tokens=sequence.truncated_tokens,
            dropped=sequence.dropped,
        )


class PreviewRow(Answer):
    """A row of the training file, counted from 1, and what it turns into."""

    row: int
    sequences: tuple[PreviewSequence, ...]
    omitted_sequences: int

    @classmethod
    def of(cls, row: ShownRow) -> "PreviewRow":
        """As the trainer would see it."""
        return cls(
            row=row.row,
            sequences=tuple(map(PreviewSequence.of, row.sequences)),
            omitted_sequences=row.omitted_sequences,
        )


class Statistics(Answer):
    """Of the whole file; ``sampled``: of ``rows_read`` rows, drawn at random."""

    rows: int
    rows_read: int
    sampled: bool
    examples: int
    tokens: int
    trained_tokens: int
    truncation: Truncation
    lengths: Lengths


class JobPreview(Answer):
    """Rows as tokens, and the file's statistics."""

    object: Literal["fine_tuning.job.preview"] = "fine_tuning.job.preview"
    data: tuple[PreviewRow, ...]
    has_more: bool
    statistics: Statistics

    @classmethod
    def of(cls, rows: tuple[ShownRow, ...], survey: Survey, max_length: int) -> "JobPreview":
        """As the trainer would see them."""
        statistics = Statistics(
            rows=survey.rows,
            rows_read=survey.rows_read,
            sampled=not survey.is_whole,
            examples=survey.examples,
            tokens=survey.tokens,
            trained_tokens=survey.trained_tokens,
            truncation=Truncation.of(survey, max_length),
            lengths=survey.lengths,
        )
        return cls(
            data=tuple(map(PreviewRow.of, rows)),
            has_more=bool(rows) and rows[-1].row < survey.rows,
            statistics=statistics,
        )


def _tokens(estimate: Estimate) -> EstimatedTokens:
    validation, epochs = estimate.validation, estimate.epochs
    return EstimatedTokens(
        epoch=estimate.tokens,
        trained_epoch=estimate.trained_tokens,
        total=estimate.tokens * epochs,
        trained_total=estimate.trained_tokens * epochs,
        validation=None if validation is None else round(validation.tokens * validation.scale),
    )


def _memory(estimate: Estimate) -> EstimatedMemory:
    known = bool(estimate.memory_bytes) and estimate.machine_bytes is not None
    return EstimatedMemory(
        bytes=estimate.memory_bytes or None,
        largest_machine_bytes=estimate.machine_bytes,
        fits=estimate.misfit is None if known else None,
        reason=estimate.misfit.message if estimate.misfit else None,
        param=estimate.misfit.param if estimate.misfit else None,
    )
