"""What a trainer is asked to do: one frozen document, written by the worker for the trainer.

Nothing here imports torch, so that the server can build and check a spec cheaply.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

LINEAR_MODULES: Literal["all-linear"] = "all-linear"
"""PEFT's word for every linear layer but the output head."""

RANKS_SERVED = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM accepts for ``--max-lora-rank`` (vllm.config.lora, 0.32.0)."""


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


class TrainingSpec(_Frozen):
    """One supervised fine-tune. Paths are server-made and absolute.

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
