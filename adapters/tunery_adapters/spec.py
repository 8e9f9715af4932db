"""What a trainer is asked to do: one frozen document, written by the worker for the trainer.

Nothing here imports torch, so that the server can build and check a spec cheaply.
"""

from collections.abc import Set
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

LINEAR_MODULES: Literal["all-linear"] = "all-linear"
"""PEFT's word for every linear layer but the output head."""

RANKS_SERVED = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM accepts for ``--max-lora-rank`` (vllm.config.lora, 0.32.0)."""

DataFormat: TypeAlias = Literal["chat", "completion", "text", "preference"]
"""What the rows of a training file are; docs/fine-tuning.md shows each."""

TEMPLATED: Set[DataFormat] = frozenset({"chat", "preference"})
"""Formats of messages, which the base model's chat template turns into text."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LoraSpec(_Frozen):
    """Shape of the adapter, in PEFT's words."""

    rank: int = Field(default=16, ge=1, le=512)
    alpha: float = Field(default=32.0, gt=0, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: Literal["all-linear"] | tuple[str, ...] = LINEAR_MODULES
    quantization: Literal["none", "nf4"] = "none"
    """``nf4``: the frozen base in 4 bits, double quantisation (QLoRA, arXiv 2305.14314)."""


class EarlyStopping(_Frozen):
    """When a job ends before its last step."""

    patience: int = Field(default=3, ge=1, le=1000)
    """Evaluations in a row that may pass without an improvement."""
    min_delta: float = Field(default=0.0, ge=0)
    """An improvement lowers the best validation loss so far by more than this, in nats."""


class EvaluationSpec(_Frozen):
    """When the validation file is looked at beside the end of each epoch, and what follows."""

    eval_every: int | None = Field(default=None, ge=1)
    """In optimiser steps."""
    early_stopping: EarlyStopping | None = None
    keep: Literal["best", "last"] = "last"
    """Whether the finished adapter is that of the lowest validation loss or of the last step."""


class TrainingSpec(_Frozen):
    """One fine-tune. Paths are server-made and absolute.

    ``output_dir`` holds ``checkpoints/step-N/`` and ends with ``adapter/``; a trainer that finds a
    complete checkpoint there goes on from the newest.
    """

    job_id: str
    base_model_path: str
    training_file: str
    validation_file: str | None = None
    output_dir: str
    n_epochs: int = Field(ge=1, le=50)
    batch_size: int = Field(ge=1, le=256)
    learning_rate_multiplier: float = Field(gt=0, le=1000)
    seed: int = Field(ge=0, le=2**31 - 1)
    lora: LoraSpec = LoraSpec()
    max_length: int = Field(ge=8)
    """Longest example in tokens; the rest is cut off and counted."""
    threads: int = Field(ge=1)
    """CPU threads the trainer may use."""
    format: DataFormat = "chat"
    """Of both files."""
    beta: float | None = Field(default=None, gt=0, le=2)
    """Strength of the tie to the reference: set for direct preference optimisation alone."""
    evaluation: EvaluationSpec = EvaluationSpec()
    initial_adapter: str | None = None
    """A PEFT folder of the same base and shape, to go on from; None begins anew."""
