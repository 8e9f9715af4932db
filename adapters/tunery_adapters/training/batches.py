"""Which examples train together, in which order, and how many go through the model at once."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from tunery_adapters.training.examples import Item


@dataclass(frozen=True, slots=True)
class Schedule:
    """The order of a job, a pure function of its seed: a step's number is all that need be kept."""

    examples: int
    batch_size: int
    n_epochs: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps an epoch; the last one may be short."""
        return ceil(self.examples / self.batch_size)

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole job."""
        return self.steps_per_epoch * self.n_epochs

    def batch(self, step: int) -> list[int]:
        """Return the indices of the examples of step ``step``, counted from 0."""
        epoch, position = divmod(step, self.steps_per_epoch)
        first = position * self.batch_size
        return self._order(epoch)[first : first + self.batch_size]

    def seed_of(self, step: int) -> int:
        """Return the seed of the random numbers drawn within step ``step``."""
        return self.seed + 1 + step

    def seen(self, step: int) -> list[int]:
        """Return the indices of the examples that the epoch under way at ``step`` has used."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return self._order(epoch)[: position * self.batch_size]

    def ends_epoch(self, step: int) -> bool:
        """Whether ``step`` finished steps are a whole number of epochs, and not none."""
        return step > 0 and step % self.steps_per_epoch == 0

    def _order(self, epoch: int) -> list[int]:
        order = list(range(self.examples))
        random.Random(f"{self.seed}:{epoch}").shuffle(order)  # noqa: S311 (an order, no secret)
        return order


@dataclass(frozen=True, slots=True)
class PassLimits:
    """How much one forward pass may hold. A single example always passes."""

    tokens: int
    """Sequences times the longest of them: what attention holds."""
    predictions: int
    """Positions with logits, each as wide as the vocabulary."""
    sequences: int | None = None


def passes(examples: Iterable[Item], limits: PassLimits) -> Iterator[list[Item]]:
    """Split a batch into forward passes of like lengths; their gradients add up to the batch's."""
    group: list[Item] = []
    for example in sorted(examples, key=_length):
        if group and not _fits([*group, example], limits):
            yield group
            group = []
        group.append(example)
    if group:
        yield group


def _fits(group: Sequence[Item], limits: PassLimits) -> bool:
    sequences = sum(len(example.sequences) for example in group)
    return (
        sequences * _length(group[-1]) <= limits.tokens
        and sum(example.trained_tokens for example in group) <= limits.predictions
        and (limits.sequences is None or sequences <= limits.sequences)
    )


def _length(example: Item) -> int:
    return max(len(sequence.ids) for sequence in example.sequences)
