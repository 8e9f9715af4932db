"""What becomes of an adapter in the engine, through the whole gateway."""

import asyncio

import pytest
from openai import BadRequestError

from tunery_server.errors import EngineRefused

from .composed import Gateway

WEIGHTS = "adapter_model.safetensors"


async def ask(gateway: Gateway, model: str) -> str | None:
    async with gateway.openai() as client:
        answer = await client.completions.create(model=model, prompt="hi")
        return answer.model


def overwrite(gateway: Gateway, adapter_id: str) -> None:
    """Another byte in the middle of its weights."""
    weights = gateway.settings.home / "adapters" / adapter_id / "v1" / WEIGHTS
    damaged = bytearray(weights.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(damaged)


@pytest.mark.promise("P22", fault="a byte of an adapter's weights flips before it is loaded")
async def test_a_damaged_adapter_is_refused_and_hurts_nobody_else(gateway: Gateway) -> None:
    bad, good = gateway.publish(), gateway.publish()
    overwrite(gateway, bad.adapter_id)
    asked = [ask(gateway, name) for _ in range(20) for name in (bad.model, good.model, "base")]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer, name in zip(answers, [bad.model, good.model, "base"] * 20, strict=True):
        if name == bad.model:
            assert isinstance(answer, BadRequestError)
            assert answer.code == "adapter_damaged"
        else:
            assert answer == name
    assert gateway.engine.adapters == {good.model}


async def test_an_adapter_that_somebody_else_unloaded_is_loaded_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = gateway.publish()
    assert await ask(gateway, adapter.model) == adapter.model
    gateway.engine.adapters.clear()
    forward = gateway.engine.forward

    def knowing(path: str, body: bytes) -> object:
        if adapter.model.encode() in body and adapter.model not in gateway.engine.adapters:
            raise EngineRefused(f"The model `{adapter.model}` does not exist.", status=404)
        return forward(path, body)

    monkeypatch.setattr(gateway.engine, "forward", knowing)
    assert await ask(gateway, adapter.model) == adapter.model
    assert len(gateway.engine.loads) == 2
