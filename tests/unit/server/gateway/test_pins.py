"""Adapters that stay in the engine, and those that come back, through the whole gateway."""

import asyncio

import pytest

from .composed import Gateway
from .test_residency import ask, overwrite


async def pin(gateway: Gateway, model: str, verb: str = "pin", key: str | None = None) -> int:
    async with gateway.http(key) as http:
        return (await http.post(f"/v1/adapters/{model}/{verb}")).status_code


async def test_a_pin_loads_and_is_shown(gateway: Gateway) -> None:
    adapter = gateway.publish()
    async with gateway.http() as http:
        pinned = (await http.post(f"/v1/adapters/{adapter.model}/pin")).json()
        assert (pinned["pinned"], pinned["residency"]) == (True, "loaded")
        assert (await http.get(f"/v1/adapters/{adapter.model}")).json()["pinned"] is True
        unpinned = (await http.post(f"/v1/adapters/{adapter.model}/unpin")).json()
        assert (unpinned["pinned"], unpinned["residency"]) == (False, "loaded")


async def test_a_tenant_pins_so_many_and_no_more(gateway: Gateway) -> None:
    first, second, third = (gateway.publish().model for _ in range(3))
    assert gateway.settings.max_pinned_adapters_per_tenant == 2
    assert [await pin(gateway, model) for model in (first, second, second, third)] == [
        200,
        200,
        200,
        429,
    ]
    assert await pin(gateway, first, "unpin") == 200
    assert await pin(gateway, third) == 200
    assert await pin(gateway, gateway.publish("rival").model, key=gateway.rival_key) == 200


async def test_another_tenants_adapter_cannot_be_pinned(gateway: Gateway) -> None:
    theirs = gateway.publish("rival").model
    assert [await pin(gateway, theirs, verb) for verb in ("pin", "unpin")] == [404, 404]


async def test_a_damaged_adapter_is_neither_pinned_nor_led_to(gateway: Gateway) -> None:
    bad, good = gateway.publish(), gateway.publish()
    overwrite(gateway, bad.adapter_id)
    assert await pin(gateway, bad.model) == 400
    async with gateway.http() as http:
        made = await http.post("/v1/aliases", json={"name": "bot", "model": good.model})
        assert made.status_code == 200
        assert good.model in gateway.engine.adapters, "loaded before the first request"
        moved = await http.post("/v1/aliases/bot", json={"model": bad.model})
        assert moved.json()["error"]["code"] == "adapter_damaged"
        assert (await http.get("/v1/aliases/bot")).json()["model"] == good.model
        assert (await http.get(f"/v1/adapters/{bad.model}")).json()["pinned"] is False


@pytest.mark.promise("P16", fault="the engine is a new process that knows no adapter")
async def test_after_a_restart_adapters_come_back_before_they_are_asked_for(
    gateway: Gateway,
) -> None:
    gateway.app.state.services.preload._interval_s = 3600.0  # from the event, not the next look
    pinned, older, newer, deleted = (gateway.publish() for _ in range(4))
    assert await pin(gateway, pinned.model) == 200
    async with gateway.running():
        for adapter in (older, deleted, newer):
            await ask(gateway, adapter.model)
        async with gateway.http() as http:
            await http.delete(f"/v1/adapters/{deleted.model}")
        gateway.engine.loads.clear()
        gateway.engine.restart()
        back = [pinned.model, newer.model, older.model]
        async with asyncio.timeout(60):
            while [name for name, _ in gateway.engine.loads] != back:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert gateway.engine.adapters == set(back)


async def test_they_come_back_although_the_engine_is_looked_at_again_meanwhile(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, engine = gateway.app.state.services, gateway.engine
    adapter = gateway.publish()
    await ask(gateway, adapter.model)
    engine.restart()
    status = await engine.status()
    services.residency.observe(status)

    def slow() -> tuple[()]:
        services.residency.observe(status)
        return ()

    monkeypatch.setattr(services.preload._registry, "pinned", slow)
    await services.preload.look()
    assert engine.adapters == {adapter.model}
