"""What training takes: memory of the trainer's device, numbers to multiply, bytes of an adapter.

Plain arithmetic on the base model's sizes. docs/estimate-and-preview.md derives the formulas and
shows them beside measurements.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tunery_adapters.base_model import BaseShape, Linear
from tunery_adapters.spec import LINEAR_MODULES, LoraSpec

Device: TypeAlias = Literal["cpu", "cuda"]

TOKENS_A_PASS: Mapping[str, int] = {"cpu": 1024, "cuda": 8192}
"""A CPU's matrix products are as fast at 1024 rows as at more; a GPU wants more."""

LOGITS_A_PASS = 1 << 28
"""Logits held at once: 1 GiB as float32."""

MARGIN: Mapping[Device, float] = {"cpu": 1.15, "cuda": 1.3}
"""What an estimate is multiplied with to be an upper bound.

On a CPU it covers every measurement of benchmarks/training_memory.py; CUDA's is not measured.
"""

_RUNTIME_BYTES: Mapping[Device, int] = {"cpu": 560 << 20, "cuda": 800 << 20}
"""Of Python with torch, transformers and peft (measured); of a CUDA context with its kernels."""

_TRAINED_BYTES = 16
"""Of each weight of the LoRA: itself, its gradient and AdamW's two moments, all in float32."""

_PAGED_TRAINED_BYTES = 10
"""The same with the moments in 8 bits, beside a 4-bit base on CUDA."""

_NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""A weight in 4 bits; a scale in 8 bits each 64 of them, and one in 32 bits each 256 scales."""

_LOGIT_BYTES = 16
"""Each logit while its loss is differentiated: the model's, their softmax, and both gradients."""

_FLOAT32_BYTES = 4

_HEADER_BYTES = 200
"""Of a safetensors file for each tensor: its name, type, shape and place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What decides how much a job takes."""

    lora: LoraSpec
    batch_size: int
    longest: int
    """Longest sequence in tokens, after cutting."""
    pairs: bool
    """Whether an example is two sequences."""
    device: Device
    item_bytes: int
    """Of a number of the frozen base: 2 or 4."""


def memory_bytes(base: BaseShape, load: Load) -> int:
    """An upper bound on the memory that a trainer holds at once."""
    held = weights_bytes(base, load) + _trained_bytes(load) * trained_parameters(base, load.lora)
    tokens = pass_tokens(load)
    logits = base.vocabulary * max(_example(load), min(tokens, LOGITS_A_PASS // base.vocabulary))
    passing = tokens * _token_bytes(base, load) + logits * _LOGIT_BYTES
    return int(MARGIN[load.device] * (_RUNTIME_BYTES[load.device] + held + passing))


def pass_tokens(load: Load) -> int:
    """Tokens of the largest forward pass: a batch is split, one example never is."""
    example = _example(load)
    return max(example, min(load.batch_size * example, TOKENS_A_PASS[load.device]))


def trained_parameters(base: BaseShape, lora: LoraSpec) -> int:
    """Weights of the LoRA: two thin matrices for each layer that it targets."""
    return sum(lora.rank * (linear.inputs + linear.outputs) for linear in _targets(base, lora))


def adapter_bytes(base: BaseShape, lora: LoraSpec) -> int:
    """Size of the adapter's weights on disk, in float32, to within a few percent."""
    tensors = 2 * sum(1 for _ in _targets(base, lora))
    return 4 * trained_parameters(base, lora) + _HEADER_BYTES * tensors


def flops_a_token(base: BaseShape, lora: LoraSpec, length: float) -> float:
    """Multiplications and additions for one token of a sequence of ``length``, there and back.

    Two for each weight forward and two for the gradient that passes through it; two more for a
    weight that is learnt (Kaplan et al., arXiv 2001.08361, section 2.1). Attention looks back on
    half of the sequence.
    """
    through = sum(linear.inputs * linear.outputs for linear in base.linears)
    head = base.vocabulary * base.hidden
    attention = base.layers * base.queries * length
    return 4 * (through + head) + 6 * trained_parameters(base, lora) + 6 * attention


def weights_bytes(base: BaseShape, load: Load) -> int:
    """Of the frozen base. On a CPU the file stays in memory beside what is made of it."""
    quantized = 0
    if load.lora.quantization != "none":
        quantized = sum(linear.inputs * linear.outputs for linear in base.linears)
    held = int(quantized * _NF4_BYTES) + (base.parameters - quantized) * load.item_bytes
    is_file = load.device == "cuda" or held == base.file_bytes
    return held if is_file else held + base.file_bytes


def _example(load: Load) -> int:
    """Tokens of the longest example."""
    return (2 if load.pairs else 1) * load.longest


def _trained_bytes(load: Load) -> int:
    paged = load.lora.quantization != "none" and load.device == "cuda"
    return _PAGED_TRAINED_BYTES if paged else _TRAINED_BYTES


def _token_bytes(base: BaseShape, load: Load) -> int:
    """What the layers keep of each token until its gradient has passed: nothing is recomputed."""
    h, q, k, i = base.hidden, base.queries, base.keys, base.intermediate
    # By the tensors that the layers' code keeps, and what comes and goes beside them.
    if load.item_bytes == _FLOAT32_BYTES:
        layer = 32 * h + 14 * q + 10 * k + 18 * i
    else:
        # Both norms keep float32; what enters a LoRA is kept once more for each.
        layer = 26 * h + 6 * q + 4 * k + 8 * i
    dropped = 9 * sum(linear.inputs for linear in _targets(base, load.lora))
    middle = 4 * load.lora.rank * sum(1 for _ in _targets(base, load.lora))
    return base.layers * layer + middle + (dropped if load.lora.dropout else 0)


def _targets(base: BaseShape, lora: LoraSpec) -> Iterator[Linear]:
    every = lora.target_modules == LINEAR_MODULES
    return (linear for linear in base.linears if every or linear.name in lora.target_modules)
