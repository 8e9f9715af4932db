"""What training takes, by arithmetic; benchmarks/training_memory.py holds it to measurements."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.base_models import write_sizes
from tunery_adapters.base_model import BaseShape, read_shape
from tunery_adapters.footprint import (
    Load,
    adapter_bytes,
    flops_a_token,
    memory_bytes,
    pass_tokens,
    trained_parameters,
    weights_bytes,
)
from tunery_adapters.spec import LoraSpec

LOAD = Load(
    lora=LoraSpec(rank=8), batch_size=4, longest=100, pairs=False, device="cpu", item_bytes=2
)


@pytest.fixture
def base(tmp_path: Path) -> BaseShape:
    shape = read_shape(write_sizes(tmp_path))
    assert shape is not None
    return shape


def test_a_lora_has_two_thin_matrices_a_layer(base: BaseShape) -> None:
    layer = 2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128)
    assert trained_parameters(base, LoraSpec(rank=8)) == 2 * 8 * layer
    two = LoraSpec(rank=4, target_modules=("q_proj", "v_proj"))
    assert trained_parameters(base, two) == 2 * 4 * (128 + 96)
    assert 4 * trained_parameters(base, two) < adapter_bytes(base, two) < 2**16


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        ({}, 400),
        ({"batch_size": 256}, 1024),
        ({"batch_size": 256, "device": "cuda"}, 8192),
        ({"longest": 3000}, 3000),
        ({"longest": 3000, "pairs": True}, 6000),
        ({"batch_size": 1, "pairs": True}, 200),
    ],
)
def test_a_batch_is_split_and_an_example_is_not(changes: dict[str, object], tokens: int) -> None:
    assert pass_tokens(replace(LOAD, **changes)) == tokens


def test_the_base_is_held_in_its_numbers_or_in_four_bits(base: BaseShape) -> None:
    nf4 = replace(LOAD, lora=LoraSpec(quantization="nf4"), device="cuda")
    assert weights_bytes(base, LOAD) == 2 * base.parameters
    assert weights_bytes(base, replace(LOAD, device="cuda")) == 2 * base.parameters
    linear = sum(layer.inputs * layer.outputs for layer in base.linears)
    rest = 2 * (base.parameters - linear)
    assert rest + linear / 2 < weights_bytes(base, nf4) < rest + linear * 0.53
    # On a CPU the file stays beside what is made of it.
    assert weights_bytes(base, replace(LOAD, item_bytes=4)) == 6 * base.parameters


@pytest.mark.parametrize(
    "more",
    [
        {"batch_size": 8},
        {"longest": 200},
        {"pairs": True},
        {"item_bytes": 4},
        {"lora": LoraSpec(rank=64)},
        {"lora": LoraSpec(rank=8, dropout=0.1)},
    ],
)
def test_more_of_anything_takes_more(base: BaseShape, more: dict[str, object]) -> None:
    assert memory_bytes(base, replace(LOAD, **more)) > memory_bytes(base, LOAD)


def test_a_longer_context_costs_more_of_each_token(base: BaseShape) -> None:
    weights = sum(layer.inputs * layer.outputs for layer in base.linears) + 1000 * 64
    assert flops_a_token(base, LoraSpec(rank=1), 0) > 4 * weights
    more = flops_a_token(base, LoraSpec(rank=1), 100) - flops_a_token(base, LoraSpec(rank=1), 0)
    assert more == 6 * 2 * 64 * 100
