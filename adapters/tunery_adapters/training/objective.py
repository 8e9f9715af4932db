"""What training minimises: cross entropy, or the loss of preference pairs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from tunery_adapters.training.examples import Item, Pair

Phase: TypeAlias = Literal["train", "valid"]


@dataclass(frozen=True, slots=True)
class Predicted:
    """S predictions under the loss, those of one sequence after those of another."""

    log_probs: Tensor
    """[S] log-probability of what came next, in nats."""
    first: Tensor
    """[S] whether the model puts that token first."""
    counts: tuple[int, ...]
    """How many of the predictions belong to each of the B sequences."""

    def by_sequence(self) -> Tensor:
        """[B] log-probability of all that is under the loss in each sequence, in nats."""
        parts = torch.split(self.log_probs, list(self.counts))
        return torch.stack([part.sum() for part in parts])

    @classmethod
    def joined(cls, parts: Sequence["Predicted"]) -> "Predicted":
        """Those of several passes as if they had been one."""
        return cls(
            torch.cat([part.log_probs for part in parts]),
            torch.cat([part.first for part in parts]),
            tuple(count for part in parts for count in part.counts),
        )


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over what an objective counts: supervised tokens, or pairs."""

    loss_sum: float = 0.0
    right: int = 0
    margin_sum: float = 0.0
    count: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.loss_sum + other.loss_sum,
            self.right + other.right,
            self.margin_sum + other.margin_sum,
            self.count + other.count,
        )

    @property
    def loss(self) -> float:
        """Mean loss, in nats."""
        return self.loss_sum / self.count


class Objective(Protocol):
    """A loss over batches, and what is said of it."""

    def count(self, examples: Iterable[Item]) -> int:
        """Of how many things the loss of a batch is the mean."""

    def loss(self, examples: Sequence[Item], predicted: Predicted) -> tuple[Tensor, Score]:
        """The sum of the losses, to be differentiated, and the sums to be reported."""

    def metrics(self, score: Score, phase: Phase) -> Mapping[str, float]:
        """A score by the names of :mod:`tunery_adapters.reports`."""


class Likelihood:
    """Cross entropy of the tokens under the loss, each counting alike."""

    def count(self, examples: Iterable[Item]) -> int:
        """Tokens under the loss."""
        return sum(example.trained_tokens for example in examples)

    def loss(self, examples: Sequence[Item], predicted: Predicted) -> tuple[Tensor, Score]:
        """Minus the log-probability of all of them."""
        loss_sum = -predicted.log_probs.sum()
        right = int(predicted.first.sum().item())
        return loss_sum, Score(loss_sum.item(), right, count=len(predicted.log_probs))

    def metrics(self, score: Score, phase: Phase) -> Mapping[str, float]:
        """Loss, and the share of tokens that the model puts first."""
        return {
            f"{phase}_loss": score.loss,
            f"{phase}_mean_token_accuracy": score.right / score.count,
        }


class Preference:
    """Direct preference optimisation (Rafailov et al., arXiv 2305.18290, equation 7)."""

    def __init__(self, beta: float) -> None:
        self._beta = beta

    def count(self, examples: Iterable[Item]) -> int:
        """Pairs."""
        return sum(1 for _ in examples)

    def loss(self, examples: Sequence[Item], predicted: Predicted) -> tuple[Tensor, Score]:
        """Minus the log-sigmoid of each pair's margin, the difference of its implicit rewards:

        beta · ((log p(chosen) - log p(rejected)) - the same by the reference).
        """
        chosen, rejected = predicted.by_sequence().view(-1, 2).unbind(1)
        reference = [pair.reference for pair in examples if isinstance(pair, Pair)]
        margins = self._beta * (chosen - rejected - chosen.new_tensor(reference))
        loss_sum = -F.logsigmoid(margins).sum()
        right = int((margins > 0).sum().item())
        return loss_sum, Score(loss_sum.item(), right, margins.sum().item(), len(margins))

    def metrics(self, score: Score, phase: Phase) -> Mapping[str, float]:
        """Loss, the share of pairs ranked right, and the mean margin."""
        return {
            f"{phase}_loss": score.loss,
            f"{phase}_accuracy": score.right / score.count,
            f"{phase}_reward_margin": score.margin_sum / score.count,
        }
