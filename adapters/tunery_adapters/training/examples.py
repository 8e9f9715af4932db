"""What is learnt from: sequences of tokens, alone or in pairs, and the datasets they make."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tunery_adapters.reports import DataReport

Split: TypeAlias = Literal["training", "validation"]


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence. ``supervised[i]`` says whether predicting ``ids[i]`` is under the loss.

    The first token has nothing before it to be predicted from, and is never supervised.
    """

    ids: tuple[int, ...]
    supervised: tuple[bool, ...]

    @property
    def sequences(self) -> "tuple[Example, ...]":
        """Itself."""
        return (self,)

    @property
    def tokens(self) -> int:
        """Its length."""
        return len(self.ids)

    @property
    def trained_tokens(self) -> int:
        """Tokens under the loss."""
        return sum(self.supervised)

    @property
    def teaches(self) -> bool:
        """Whether there is anything to learn from it."""
        return any(self.supervised)

    def cut(self, max_length: int) -> "Example":
        """Its first ``max_length`` tokens."""
        return Example(self.ids[:max_length], self.supervised[:max_length])


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one prompt, of which people prefer the first."""

    chosen: Example
    rejected: Example
    reference: float = 0.0
    """Log-probability of the chosen answer less that of the other, in nats, by the reference."""

    @property
    def sequences(self) -> tuple[Example, ...]:
        """The chosen one, then the other."""
        return self.chosen, self.rejected

    @property
    def tokens(self) -> int:
        """Those of both."""
        return self.chosen.tokens + self.rejected.tokens

    @property
    def trained_tokens(self) -> int:
        """Those of both answers."""
        return self.chosen.trained_tokens + self.rejected.trained_tokens

    @property
    def teaches(self) -> bool:
        """Whether the two differ, and in their answers."""
        return self.chosen.teaches and self.rejected.teaches and self.chosen != self.rejected

    def cut(self, max_length: int) -> "Pair":
        """Both cut to ``max_length`` tokens."""
        return Pair(self.chosen.cut(max_length), self.rejected.cut(max_length))


Item: TypeAlias = Example | Pair
"""What a batch holds."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The examples of one file, and what was cut away to make them fit."""

    examples: tuple[Item, ...]
    truncated_examples: int
    truncated_tokens: int
    dropped_examples: int

    @property
    def trained_tokens(self) -> int:
        """Tokens under the loss in one pass over the examples."""
        return sum(example.trained_tokens for example in self.examples)

    def report(self, split: Split) -> DataReport:
        """Say what the file turned into."""
        return DataReport(
            split=split,
            examples=len(self.examples),
            tokens=sum(example.tokens for example in self.examples),
            trained_tokens=self.trained_tokens,
            truncated_examples=self.truncated_examples,
            truncated_tokens=self.truncated_tokens,
            dropped_examples=self.dropped_examples,
        )


def truncate(examples: Sequence[Item], max_length: int) -> Dataset:
    """Cut sequences to ``max_length`` tokens from the end; drop what then teaches nothing."""
    cut = [example.cut(max_length) for example in examples]
    kept = tuple(example for example in cut if example.teaches)
    losses = [whole.tokens - part.tokens for whole, part in zip(examples, cut, strict=True)]
    return Dataset(kept, sum(map(bool, losses)), sum(losses), len(examples) - len(kept))
