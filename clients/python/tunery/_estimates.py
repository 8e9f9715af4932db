"""What a fine-tune would come to: the answers, and the request that both of them take."""

from typing import Any, Literal

from openai import BaseModel

ESTIMATE = "/fine_tuning/jobs/estimate"
PREVIEW = "/fine_tuning/jobs/preview"


class Tokens(BaseModel):
    """Of the training file, in one epoch and in all; and of the validation file."""

    epoch: int
    trained_epoch: int
    """Under the loss."""
    total: int
    trained_total: int
    validation: int | None = None


class Steps(BaseModel):
    """Of the optimiser."""

    epoch: int
    total: int


class CutRow(BaseModel):
    """A row that is too long, and what it loses."""

    row: int
    tokens: int


class Truncation(BaseModel):
    """What is cut off: the tokens of a sequence behind its first ``max_length``."""

    max_length: int
    rows: int
    tokens: int
    dropped_examples: int
    first: list[CutRow]


class Memory(BaseModel):
    """An upper bound in bytes, and whether a worker's machine has as much; None if unknown."""

    bytes: int | None = None
    largest_machine_bytes: int | None = None
    fits: bool | None = None
    reason: str | None = None
    """Why it does not, and what would."""
    param: str | None = None


class Seconds(BaseModel):
    """Once a worker has the job: ``measured`` on so many earlier ``jobs``, or ``computed``."""

    expected: float
    low: float
    high: float
    basis: Literal["measured", "computed"]
    jobs: int


class JobEstimate(BaseModel):
    """What a fine-tune would take. ``sampled``: counted on ``rows_read`` rows, drawn at random."""

    object: Literal["fine_tuning.job.estimate"]
    model: str
    hyperparameters: dict[str, Any]
    """With what "auto" comes to."""
    rows: int
    rows_read: int
    sampled: bool
    examples: int
    longest_sequence: int
    tokens: Tokens
    steps: Steps
    truncation: Truncation
    memory: Memory
    seconds: Seconds | None = None
    adapter_bytes: int | None = None


class PreviewToken(BaseModel):
    """A token; the texts of a sequence add up to its text."""

    text: str
    id: int
    trained: bool
    """Whether predicting it is under the loss."""


class PreviewSequence(BaseModel):
    """What the model is trained on; ``dropped`` if nothing to learn from is left of it."""

    role: Literal["example", "chosen", "rejected"]
    tokens: list[PreviewToken]
    truncated_tokens: int
    dropped: bool


class PreviewRow(BaseModel):
    """A row of the training file, counted from 1."""

    row: int
    sequences: list[PreviewSequence]
    omitted_sequences: int
    """Behind those, when they are too many to be shown."""


class Bin(BaseModel):
    """Rows of at most ``up_to`` tokens, and more than the bin before."""

    up_to: int
    rows: int


class Lengths(BaseModel):
    """Tokens a row, before anything is cut."""

    min: int
    mean: float
    median: float
    p95: int
    max: int
    histogram: list[Bin]


class Statistics(BaseModel):
    """Of the whole file, or of ``rows_read`` rows of it, drawn at random."""

    rows: int
    rows_read: int
    sampled: bool
    examples: int
    tokens: int
    trained_tokens: int
    truncation: Truncation
    lengths: Lengths


class JobPreview(BaseModel):
    """Rows of the training file as tokens, and the file's statistics."""

    object: Literal["fine_tuning.job.preview"]
    data: list[PreviewRow]
    has_more: bool
    statistics: Statistics


def request(wish: dict[str, Any], **more: object) -> dict[str, Any]:
    """The body for the arguments of ``fine_tuning.jobs.create``."""
    plain = {name: value for name, value in wish.items() if name != "extra_body"}
    return {**plain, **wish.get("extra_body", {}), **more}
