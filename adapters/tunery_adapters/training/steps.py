"""One optimiser step, one evaluation: batches in, losses and gradients out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from math import isfinite
from typing import TypeAlias

import torch
from peft import PeftModel
from torch.nn import Parameter
from torch.nn import functional as F
from torch.optim import Optimizer

from tunery_adapters.footprint import LOGITS_A_PASS, TOKENS_A_PASS
from tunery_adapters.training.batches import PassLimits, passes
from tunery_adapters.training.examples import Example, Item
from tunery_adapters.training.failures import DivergedError
from tunery_adapters.training.model import Precision, is_packing
from tunery_adapters.training.objective import Objective, Predicted, Score
from tunery_adapters.training.optimizer import clip
from tunery_adapters.training.packing import pack

Between: TypeAlias = Callable[[], None]


class Learner:
    """A model with its optimiser and its aim, and how much of a batch goes through it at once."""

    def __init__(
        self,
        model: PeftModel,
        optimizer: Optimizer,
        objective: Objective,
        precision: Precision,
        *,
        share_prefixes: bool,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.objective = objective
        self._precision = precision
        self._share = share_prefixes
        self._limits = _limits(model, precision)

    def train(
        self, batch: Sequence[Item], learning_rate: float, seed: int, between: Between
    ) -> Score:
        """Take one optimiser step on the mean loss over the batch.

        ``seed`` is the step's own, for dropout. ``between`` runs before every pass; if it
        raises, the step was not taken and may be repeated.
        """
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(seed)
        count = self.objective.count(batch)
        total = Score()
        for part in passes(batch, self._limits):
            between()
            loss_sum, score = self.objective.loss(part, self._predict(part))
            (loss_sum / count).backward()  # type: ignore[no-untyped-call]
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

    def evaluate(self, examples: Iterable[Item], between: Between) -> Score:
        """Score the examples without learning; ``between`` runs before every pass."""
        self.model.eval()
        total = Score()
        with torch.no_grad():
            for part in passes(examples, self._limits):
                between()
                total += self.objective.loss(part, self._predict(part))[1]
        return total

    def log_ratios(self, pairs: Iterable[Item], between: Between) -> Iterator[tuple[Item, float]]:
        """Each pair with the model's log-probability of its chosen answer less the other's.

        In nats; ``between`` runs before every pass.
        """
        self.model.eval()
        with torch.no_grad():
            for part in passes(pairs, self._limits):
                between()
                chosen, rejected = self._predict(part).by_sequence().view(-1, 2).unbind(1)
                yield from zip(part, (chosen - rejected).tolist(), strict=True)

    def parameters(self) -> list[Parameter]:
        """The LoRA's parameters."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def _predict(self, examples: Sequence[Item]) -> Predicted:
        sequences = [sequence for example in examples for sequence in example.sequences]
        if is_packing(self.model):
            return self._forward(sequences)
        return Predicted.joined([self._forward([sequence]) for sequence in sequences])

    def _forward(self, sequences: Sequence[Example]) -> Predicted:
        packed = pack(sequences, share=self._share).to(self._precision.device)
        with self._autocast():
            logits = self.model(
                input_ids=packed.ids,
                position_ids=packed.positions,
                logits_to_keep=packed.sources,
                use_cache=False,
                **({"packed": packed} if is_packing(self.model) else {}),
            ).logits[0]
        return Predicted(
            log_probs=-F.cross_entropy(logits.float(), packed.targets, reduction="none"),
            first=logits.detach().argmax(-1) == packed.targets,
            counts=tuple(sequence.trained_tokens for sequence in sequences),
        )

    def _autocast(self) -> AbstractContextManager[None]:
        device, dtype = self._precision.device.type, self._precision.dtype
        return torch.autocast(device, dtype, enabled=dtype != torch.float32)


def _limits(model: PeftModel, precision: Precision) -> PassLimits:
    vocabulary = model.config.get_text_config().vocab_size
    return PassLimits(
        tokens=TOKENS_A_PASS[precision.device.type],
        predictions=LOGITS_A_PASS // vocabulary,
        sequences=None if is_packing(model) else 1,
    )
