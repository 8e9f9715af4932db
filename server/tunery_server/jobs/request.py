"""What a client asks for, after the wire has been checked; and what "auto" means."""

from dataclasses import dataclass, field
from typing import Any

from tunery_adapters.spec import EvaluationSpec, LoraSpec
from tunery_server.records.rows import JobMethod

MIN_EXAMPLES = 10
"""OpenAI's lower bound on a training file."""

_STEPS_PER_EPOCH = 60
_EXAMPLES_SEEN = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A fine-tune as asked for. None stands for "auto"."""

    model: str
    training_file: str
    validation_file: str | None = None
    method: JobMethod = JobMethod.SUPERVISED
    suffix: str | None = None
    seed: int | None = None
    n_epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    beta: float | None = None
    priority: int = 0
    lora: LoraSpec = field(default_factory=LoraSpec)
    lora_given: tuple[str, ...] = ()
    """The fields of ``lora`` that were asked for; the others are as they are by default."""
    training: EvaluationSpec = field(default_factory=EvaluationSpec)
    metadata: dict[str, str] | None = None
    integrations: list[dict[str, Any]] | None = None


def auto_epochs(examples: int) -> int:
    """Epochs until about 600 examples were seen, at least 3 and at most 10.

    Small sets need several passes to be learnt at all; from 200 examples on three passes are what
    OpenAI's guide starts from.
    """
    return min(10, max(3, -(-_EXAMPLES_SEEN // examples)))


def auto_batch_size(examples: int) -> int:
    """A batch that leaves about 60 optimiser steps an epoch, at least 1 and at most 16.

    Small sets are learnt by many small steps: 252 tickets in 3 epochs reach 81 % of held-out ones
    with batches of 4 and 69 % with batches of 10 (examples/ticket_routing)."""
    return min(16, max(1, examples // _STEPS_PER_EPOCH))


AUTO_LEARNING_RATE_MULTIPLIER = 1.0
"""The trainer's base rate depends on the model's width; see ``tunery_adapters.training``."""

AUTO_BETA = 0.1
"""That of the experiments in the paper on DPO (arXiv 2305.18290, appendix B)."""
