"""One optimiser step, one evaluation: batches in, losses and gradients out."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn import Parameter
from torch.nn import functional as F
from torch.optim import Optimizer

from tunery_adapters.training.batches import PassLimits, passes
from tunery_adapters.training.data import Example
from tunery_adapters.training.failures import DivergedError
from tunery_adapters.training.model import Precision, is_packing
from tunery_adapters.training.optimizer import clip
from tunery_adapters.training.packing import Packed, pack

_TOKENS_A_PASS = {"cpu": 1024, "cuda": 8192}
"""A CPU's matrix products are as fast at 1024 rows as at more; a GPU wants more."""

_LOGITS_A_PASS = 1 << 28
"""Logits held at once: 1 GiB as float32."""


Between: TypeAlias = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over supervised tokens."""

    loss_sum: float = 0.0
    correct: int = 0
    tokens: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.loss_sum + other.loss_sum, self.correct + other.correct, self.tokens + other.tokens
        )

    @property
    def loss(self) -> float:
        """Mean cross entropy per supervised token, in nats."""
        return self.loss_sum / self.tokens

    @property
    def accuracy(self) -> float:
        """Share of supervised tokens that the model puts first."""
        return self.correct / self.tokens


class Learner:
    """A model with its optimiser, and how much of a batch goes through it at once."""

    def __init__(
        self,
        model: PeftModel,
        optimizer: Optimizer,
        precision: Precision,
        *,
        share_prefixes: bool,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self._precision = precision
        self._share = share_prefixes
        self._limits = _limits(model, precision)

    def train(
        self, batch: Sequence[Example], learning_rate: float, seed: int, between: Between
    ) -> Score:
        """Take one optimiser step on the mean loss over the batch's supervised tokens.

        ``seed`` is the step's own, for dropout. ``between`` runs before every pass; if it
        raises, the step was not taken and may be repeated.
        """
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(seed)
        tokens = sum(example.trained_tokens for example in batch)
        total = Score()
        for part in passes(batch, self._limits):
            between()
            loss_sum, score = self._forward(part)
            (loss_sum / tokens).backward()  # type: ignore[no-untyped-call]
            total += score
        if not (isfinite(clip(self.parameters())) and isfinite(total.loss_sum)):
            raise DivergedError(
                "The loss is no longer a number; lower the learning rate.",
                "hyperparameters.learning_rate_multiplier",
            )
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        return total

    def evaluate(self, examples: Iterable[Example], between: Between) -> Score:
        """Score the examples without learning; ``between`` runs before every pass."""
        self.model.eval()
        total = Score()
        with torch.no_grad():
            for part in passes(examples, self._limits):
                between()
                total += self._forward(part)[1]
        return total

    def parameters(self) -> list[Parameter]:
        """The LoRA's parameters."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def _forward(self, examples: Sequence[Example]) -> tuple[Tensor, Score]:
        packed = pack(examples, share=self._share).to(self._precision.device)
        with self._autocast():
            logits = self.model(
                input_ids=packed.ids,
                position_ids=packed.positions,
                logits_to_keep=packed.sources,
                use_cache=False,
                **({"packed": packed} if is_packing(self.model) else {}),
            ).logits[0]
        loss_sum = F.cross_entropy(logits.float(), packed.targets, reduction="sum")
        return loss_sum, _score(loss_sum, logits, packed)

    def _autocast(self) -> AbstractContextManager[None]:
        device, dtype = self._precision.device.type, self._precision.dtype
        return torch.autocast(device, dtype, enabled=dtype != torch.float32)


def _score(loss_sum: Tensor, logits: Tensor, packed: Packed) -> Score:
    correct = (logits.detach().argmax(-1) == packed.targets).sum()
    return Score(loss_sum.item(), int(correct.item()), len(packed.targets))


def _limits(model: PeftModel, precision: Precision) -> PassLimits:
    vocabulary = model.config.get_text_config().vocab_size
    return PassLimits(
        tokens=_TOKENS_A_PASS[precision.device.type],
        predictions=_LOGITS_A_PASS // vocabulary,
        sequences=None if is_packing(model) else 1,
    )
