"""What a training file turns into, as asked and answered between a server and a short process.

``python -m tunery_adapters.training.survey`` takes one :class:`SurveySpec` on its standard input
and writes :data:`LINE` objects, one a line: a :class:`ShownRow` for each row asked for, then a
:class:`Survey` if that was asked for; or :class:`Refused` as the last.
"""

from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tunery_adapters.spec import DataFormat

Role: TypeAlias = Literal["example", "chosen", "rejected"]

MAX_TRUNCATED_SHOWN = 20
"""Of the rows that are cut, so many are named."""

MAX_TOKENS_SHOWN = 1 << 15
"""Of all rows together; the first sequence of the first row is shown whole in any case."""

BINS = 10
"""Of the histogram."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SurveySpec(_Frozen):
    """Which file to look at, and how. Paths are server-made and absolute."""

    base_model_path: str
    file: str
    split: Literal["training", "validation"] = "training"
    format: DataFormat = "chat"
    max_length: int = Field(ge=8)
    """Longest sequence in tokens, as in the job."""
    offset: int = Field(default=0, ge=0)
    limit: int = Field(default=0, ge=0)
    """Rows to show at most, the first ``offset`` left out."""
    statistics: bool = True
    budget_s: float = Field(default=30.0, gt=0)
    """How long to count; of a file that takes longer, a sample is counted."""


class Token(NamedTuple):
    """One token. The texts of a sequence add up to its text.

    A token that ends amid a character has an empty text; the character is its last token's.
    """

    text: str
    id: int
    trained: bool
    """Whether predicting it is under the loss."""


class ShownSequence(_Frozen):
    """One sequence as the model is trained on it."""

    role: Role
    tokens: tuple[Token, ...]
    truncated_tokens: int
    """Tokens cut off behind them."""
    dropped: bool
    """Whether it is left out, for nothing to learn from is left of it."""


class ShownRow(_Frozen):
    """One line of the file, counted from 1, and the sequences that it turns into."""

    type: Literal["row"] = "row"
    row: int
    sequences: tuple[ShownSequence, ...]
    omitted_sequences: int = 0
    """Behind those, when they are too many to be shown."""

    @property
    def tokens(self) -> int:
        """Those that are shown."""
        return sum(len(sequence.tokens) for sequence in self.sequences)


class Truncated(_Frozen):
    """A row that is cut, and by how many tokens."""

    row: int
    tokens: int


class Bin(_Frozen):
    """Rows of ``up_to`` tokens at most, and more than the bin before."""

    up_to: int
    rows: int


class Lengths(_Frozen):
    """Tokens a row, before anything is cut; of a preference, those of both sequences."""

    min: int
    mean: float
    median: float
    p95: int
    """The least length that 95 % of the rows do not exceed."""
    max: int
    histogram: tuple[Bin, ...]


class Survey(_Frozen):
    """Counts over the ``rows_read`` rows that were looked at, all of them or a random sample.

    ``tokens`` and ``trained_tokens`` are what one epoch has, after cutting.
    """

    type: Literal["survey"] = "survey"
    rows: int
    rows_read: int
    examples: int
    """Sequences or pairs to train on."""
    tokens: int
    trained_tokens: int
    longest_sequence: int
    """In tokens, after cutting."""
    truncated_rows: int
    truncated_tokens: int
    dropped_examples: int
    truncated: tuple[Truncated, ...]
    """The first of them."""
    lengths: Lengths

    @property
    def is_whole(self) -> bool:
        """Whether every row was looked at."""
        return self.rows_read == self.rows

    @property
    def scale(self) -> float:
        """What counts are multiplied with to stand for the whole file."""
        return self.rows / self.rows_read


class Refused(_Frozen):
    """The file cannot be trained on; in the words in which the trainer would say so."""

    type: Literal["refused"] = "refused"
    code: str
    message: str
    param: str | None = None


AnyLine: TypeAlias = ShownRow | Survey | Refused

LINE: TypeAdapter[AnyLine] = TypeAdapter(Annotated[AnyLine, Field(discriminator="type")])
