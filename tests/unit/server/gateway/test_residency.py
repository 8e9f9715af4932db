"""What becomes of an adapter in the engine, through the whole gateway."""

import asyncio
import shutil
from collections import Counter

import pytest
from openai import APIStatusError, BadRequestError, NotFoundError

from tests.engines import Fault
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


def remove(gateway: Gateway, adapter_id: str) -> None:
    """All of its files, behind the server's back."""
    folder = gateway.settings.home / "adapters" / adapter_id / "v1"
    folder.chmod(0o755)
    shutil.rmtree(folder)


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


@pytest.mark.promise("P22", fault="25 adapters without files and 25 damaged ones amid good traffic")
async def test_fifty_bad_ones_fail_alone(gateway: Gateway) -> None:
    good, bad = gateway.publish(), [gateway.publish() for _ in range(50)]
    for number, adapter in enumerate(bad):
        if number % 2:
            overwrite(gateway, adapter.adapter_id)
        else:
            remove(gateway, adapter.adapter_id)
    names = [name for adapter in bad for name in (adapter.model, good.model, "base")]
    answers = await asyncio.gather(*(ask(gateway, name) for name in names), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, APIStatusError)]
    assert Counter(error.code for error in refused) == {
        "model_not_found": 25,
        "adapter_damaged": 25,
    }
    assert [answer for answer in answers if answer not in refused] == [good.model, "base"] * 50
    assert [name for name, _ in gateway.engine.loads] == [good.model]


@pytest.mark.promise("P22", fault="an adapter's files go while 10 streams use it")
async def test_streams_end_although_the_files_have_gone(gateway: Gateway) -> None:
    adapter, other = gateway.publish(), gateway.publish()
    gateway.engine.fault = Fault.STALLS
    body = {"model": adapter.model, "prompt": "a", "stream": True}
    async with gateway.http() as http:

        async def stream() -> str:
            return (await http.post("/v1/completions", json=body)).text.rstrip()[-12:]

        streams = [asyncio.create_task(stream()) for _ in range(10)]
        async with asyncio.timeout(10):
            while gateway.engine.running < len(streams):  # noqa: ASYNC110 - no event says so
                await asyncio.sleep(0.01)
        remove(gateway, adapter.adapter_id)
        gateway.engine.fault = Fault.NONE
        assert await ask(gateway, other.model) == other.model
        gateway.engine.go.set()
        assert await asyncio.gather(*streams) == ["data: [DONE]"] * 10
    with pytest.raises(NotFoundError):
        await ask(gateway, adapter.model)
    assert await ask(gateway, other.model) == other.model


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
