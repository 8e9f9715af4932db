"""The LoRA that vLLM adds on the CPU is each token's own (imports vLLM: fifteen seconds)."""

from dataclasses import dataclass

import pytest
import torch

pytest.importorskip("vllm.platforms.cpu", reason="vLLM is not built for CPU")

from vllm.lora.layers import LoRAMapping
from vllm.platforms import current_platform

from tunery_server.engine.cpu_lora import CpuLora

SLOTS, RANK, INPUTS = 8, 4, 32
MIXES = {
    "one adapter": [1] * 9,
    "one each": [1, 2, 3, 4, 5, 6, 7, 8],
    "in turn, with the base model": [1, 0, 8, 1, 0, 8],
    "a prompt": [3] * 100,
    "prompts and tokens": [0] * 5 + [3] * 40 + [2] * 3 + [8] * 30 + [2, 0],
}
"""The adapter of each token; 0 is the base model, and 8 is in the last slot."""
EXACT = {torch.float32: 1e-4, torch.bfloat16: 0.05}


@dataclass(frozen=True)
class Layer:
    """Linear layers that were made one, as vLLM holds their adapters."""

    a: tuple[torch.Tensor, ...]
    b: tuple[torch.Tensor, ...]
    outputs: tuple[int, ...]

    @classmethod
    def random(cls, outputs: tuple[int, ...], dtype: torch.dtype) -> "Layer":
        a = tuple(torch.randn(SLOTS, 1, RANK, INPUTS).to(dtype) / 4 for _ in outputs)
        b = tuple(torch.randn(SLOTS, 1, width, RANK).to(dtype) / 4 for width in outputs)
        return cls(a, b, outputs)

    def added(self, x: torch.Tensor, adapters: list[int]) -> torch.Tensor:
        """What is due, token by token."""
        rows = [
            torch.cat([b[slot - 1, 0] @ (a[slot - 1, 0] @ token) for a, b in self._wide])
            if slot
            else torch.zeros(sum(self.outputs), dtype=torch.float64)
            for token, slot in zip(x.double(), adapters, strict=True)
        ]
        return torch.stack(rows)

    @property
    def _wide(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(a.double(), b.double()) for a, b in zip(self.a, self.b, strict=True)]


def wrapper(adapters: list[int]) -> CpuLora:
    lora = CpuLora(256, 64, "cpu")
    step(lora, adapters)
    return lora


def step(lora: CpuLora, adapters: list[int]) -> None:
    ids: list[int | None] = list(range(1, SLOTS + 1))
    mapping = LoRAMapping(tuple(adapters), tuple(adapters), is_prefill=True)
    lora.update_metadata(mapping, ids, SLOTS + 1, 100)


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(0)


def test_vllm_takes_it() -> None:
    assert current_platform.get_punica_wrapper() == f"{CpuLora.__module__}.{CpuLora.__name__}"


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("outputs", [(24,), (24, 8, 8)])
@pytest.mark.parametrize("mix", MIXES)
def test_each_token_gets_its_own_adapter(
    mix: str, outputs: tuple[int, ...], dtype: torch.dtype
) -> None:
    adapters, layer = MIXES[mix], Layer.random(outputs, dtype)
    x, y = (torch.randn(len(adapters), width).to(dtype) for width in (INPUTS, sum(outputs)))
    due = y.double() + layer.added(x, adapters)
    before = y.clone()
    wrapper(adapters).add_lora_linear(y, x, layer.a, layer.b, 1.0, outputs)
    assert torch.allclose(y.double(), due, atol=EXACT[dtype])
    base = [token for token, adapter in enumerate(adapters) if adapter == 0]
    assert torch.equal(y[base], before[base])


def test_what_is_loaded_later_is_used() -> None:
    adapters, layer = [2, 0, 5], Layer.random((24, 8, 8), torch.bfloat16)
    lora = wrapper(adapters)
    x = torch.randn(len(adapters), INPUTS).to(torch.bfloat16)
    with torch.inference_mode():
        once = torch.zeros(3, 40).bfloat16()
        lora.add_lora_linear(once, x, layer.a, layer.b, 1.0, layer.outputs)
    for matrix in (*layer.a, *layer.b):
        matrix[4] = torch.randn(matrix.shape[1:]).bfloat16() / 4
    y = torch.zeros(3, 40).bfloat16()
    lora.add_lora_linear(y, x, layer.a, layer.b, 1.0, layer.outputs)
    assert torch.allclose(y.double(), layer.added(x, adapters), atol=EXACT[torch.bfloat16])


def test_an_adapter_of_infinities_spoils_its_own_answers_alone() -> None:
    adapters, layer = [1, 2] * 4, Layer.random((24,), torch.bfloat16)
    layer.a[0][0], layer.b[0][0] = torch.inf, torch.nan
    x = torch.randn(len(adapters), INPUTS).to(torch.bfloat16)
    y = torch.zeros(len(adapters), 24).bfloat16()
    wrapper(adapters).add_lora_linear(y, x, layer.a, layer.b, 1.0, layer.outputs)
    assert y[1::2].isfinite().all()
    assert not y[::2].isfinite().any()


def test_a_head_and_an_embedding_get_theirs() -> None:
    adapters, layer = [0, 8, 3], Layer.random((50,), torch.float32)
    lora = wrapper(adapters)
    x, y = torch.randn(3, INPUTS), torch.zeros(3, 64)
    lora.add_lora_logits(y, x, layer.a[0], layer.b[0], 1.0)
    assert torch.allclose(y[:, :50].double(), layer.added(x, adapters), atol=1e-4)
    assert not y[:, 50:].any()
    rows, embedded = torch.randn(3, RANK), torch.zeros(3, 50)
    lora.add_lora_embedding(embedded, rows, layer.b[0])
    due = torch.stack([torch.zeros(50), layer.b[0][7, 0] @ rows[1], layer.b[0][2, 0] @ rows[2]])
    assert torch.allclose(embedded, due, atol=1e-4)


def test_the_next_step_forgets_the_last() -> None:
    layer = Layer.random((24,), torch.bfloat16)
    lora = wrapper([1, 2])
    step(lora, [0, 0])
    x, y = torch.randn(2, INPUTS).bfloat16(), torch.zeros(2, 24).bfloat16()
    lora.add_lora_linear(y, x, layer.a, layer.b, 1.0, layer.outputs)
    assert not y.any()
