"""How fast to learn: the peak learning rate, its course, and the optimiser."""

from collections.abc import Iterable
from math import ceil
from typing import Any, cast

import torch
from torch.nn import Parameter
from torch.optim import AdamW, Optimizer
from transformers import PreTrainedConfig

from tunery_adapters.training.model import Precision

_BASE_RATE = 5e-5
_LORA_FACTOR = 10
_REFERENCE_WIDTH = 2000
_EXPONENT = 0.781
_EXPONENT_QWEN = 0.0775
PREFERENCE_FACTOR = 0.1
"""Preferences are learnt at lower rates than text. TRL's defaults (1.16) are a twentieth apart,
1e-6 of DPOConfig and 2e-5 of SFTConfig; docs/fine-tuning.md says what a tenth was measured to do.
"""
_WARM_UP = 0.05
"""Share of the steps over which the rate rises to its peak."""

MAX_GRADIENT_NORM = 1.0


def peak_learning_rate(
    config: PreTrainedConfig, multiplier: float, *, preferences: bool = False
) -> float:
    """Return the peak rate for LoRA with alpha 32: 5e-5 · 10 · (2000 / hidden size) ^ exponent.

    Formula and both exponents (Llama 0.781, Qwen 0.0775) are Thinking Machines' fit over model
    sizes, https://tinker-docs.thinkingmachines.ai/supervised-learning/sl-hyperparams; it does
    not depend on the rank, because PEFT scales by alpha / rank. Other families take Llama's.
    Preferences take a tenth of it.
    """
    text = config.get_text_config()
    exponent = _EXPONENT_QWEN if text.model_type.startswith("qwen") else _EXPONENT
    width = (_REFERENCE_WIDTH / text.hidden_size) ** exponent
    factor = PREFERENCE_FACTOR if preferences else 1.0
    return float(_BASE_RATE * _LORA_FACTOR * width * multiplier * factor)


def learning_rate(step: int, total_steps: int, peak: float) -> float:
    """Return the rate of step ``step``, counted from 0: linear up to the peak, linear to 0."""
    warm_up = ceil(_WARM_UP * total_steps)
    falling = max(1, total_steps - warm_up)
    return peak * min((step + 1) / (warm_up + 1), (total_steps - step) / falling)


def make_optimizer(
    parameters: Iterable[Parameter], precision: Precision, *, quantized: bool
) -> Optimizer:
    """AdamW without weight decay; its state in 8 bits, paged, beside a 4-bit base on CUDA."""
    if quantized and precision.device.type == "cuda":
        from bitsandbytes import optim  # noqa: PLC0415 (slow to import)

        paged: Any = optim  # its stubs neither export nor type what it documents
        return cast(Optimizer, paged.PagedAdamW8bit(parameters, weight_decay=0.0))
    return AdamW(parameters, weight_decay=0.0, fused=True)


def clip(parameters: Iterable[Parameter]) -> float:
    """Scale the gradients down to a norm of at most 1; return the norm that they had."""
    return float(torch.nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT_NORM))
