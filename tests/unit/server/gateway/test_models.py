"""Models and adapters through the whole gateway."""

import pytest
from openai import BadRequestError, NotFoundError

from tests.engines import Fault

from .composed import Gateway


async def test_the_stock_client_lists_the_base_and_the_tenants_own(gateway: Gateway) -> None:
    mine, _ = gateway.publish(), gateway.publish("rival")
    async with gateway.openai() as client:
        listed = [model async for model in client.models.list()]
        assert [model.id for model in listed] == ["base", mine.model]
        assert [await client.models.retrieve(model.id) for model in listed] == listed


@pytest.mark.parametrize("name", ["base", "org/base", "a/b/c:d"])
async def test_names_hold_slashes_and_colons(gateway: Gateway, name: str) -> None:
    gateway.app.state.services.catalogue.base_model = name
    async with gateway.openai() as client:
        assert (await client.models.retrieve(name)).id == name


async def test_a_model_tells_its_version_its_aliases_and_where_it_is(gateway: Gateway) -> None:
    stable, canary = gateway.publish(), gateway.publish()
    routes = {"model": stable.model, "canary": {"model": canary.model, "weight": 0.1}}
    async with gateway.openai() as client, gateway.http() as http:
        assert (await http.post("/v1/aliases", json={"name": "b", **routes})).status_code == 200
        made = await http.post("/v1/aliases", json={"name": "a", "model": stable.model})
        assert made.status_code == 200
        await http.post(f"/v1/adapters/{canary.model}/pin")
        shown = [(model.id, model.model_extra) async for model in client.models.list()]
    fields = ("version", "aliases", "residency", "pinned", "parent")
    told = {name: [(extra or {})[field] for field in fields] for name, extra in shown}
    assert told == {
        "base": [None, [], "loaded", False, None],
        canary.model: [1, ["b"], "loaded", True, canary.base_model],
        stable.model: [1, ["a", "b"], "loaded", False, stable.base_model],
    }
    async with gateway.openai(gateway.rival_key) as client:
        assert [model.id async for model in client.models.list()] == ["base"]


async def test_a_deleted_adapter_is_gone_and_unloaded(gateway: Gateway) -> None:
    adapter = gateway.publish()
    gateway.engine.adapters.add(adapter.model)
    async with gateway.openai() as client:
        assert (await client.models.delete(adapter.model)).deleted
        for _ in range(2):
            with pytest.raises(NotFoundError):
                await client.models.delete(adapter.model)
        with pytest.raises(NotFoundError):
            await client.models.retrieve(adapter.model)
    assert gateway.engine.adapters == set()


async def test_an_adapter_can_be_deleted_while_the_engine_is_away(gateway: Gateway) -> None:
    adapter = gateway.publish()
    gateway.engine.fault = Fault.AWAY
    async with gateway.http() as http:
        answer = await http.delete(f"/v1/adapters/{adapter.model}")
    assert answer.json() == {"id": adapter.model, "object": "adapter", "deleted": True}


async def test_the_base_model_stays(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        with pytest.raises(BadRequestError):
            await client.models.delete("base")


async def test_an_adapter_tells_whether_it_is_loaded(gateway: Gateway) -> None:
    adapter = gateway.publish()
    async with gateway.http() as http:
        for expected in ("unloaded", "loaded"):
            described = (await http.get(f"/v1/adapters/{adapter.model}")).json()
            assert (described["residency"], described["status"]) == (expected, "ready")
            listed = (await http.get("/v1/adapters")).json()["data"]
            provenance = described.pop("provenance")
            assert listed == [described]
            assert provenance["imported"] is None
            assert str(gateway.settings.home) not in str(described)
            await http.post("/v1/completions", json={"model": adapter.model, "prompt": "hi"})


@pytest.mark.parametrize("kind", ["models", "adapters"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_another_tenants_adapter_is_an_absent_one(
    gateway: Gateway, method: str, kind: str
) -> None:
    adapter = gateway.publish()
    absent = adapter.model[:-1] + "~"
    async with gateway.http(gateway.rival_key) as http:
        theirs = await http.request(method, f"/v1/{kind}/{adapter.model}")
        none = await http.request(method, f"/v1/{kind}/{absent}")
    assert theirs.status_code == none.status_code == 404
    assert theirs.text == none.text.replace(absent, adapter.model)
