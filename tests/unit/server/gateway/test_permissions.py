"""Permissions on checkpoints and adapters, through the whole gateway."""

from typing import Any
from urllib.parse import quote

import openai
import pytest
from openai import AsyncOpenAI

from tests.rows import an_adapter
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.rows import Adapter

from .composed import Gateway

SLASHED = "ft:org/base:tunery:s:1:ckpt-step-2"


def permissions(client: AsyncOpenAI) -> Any:
    return client.fine_tuning.checkpoints.permissions


async def answers(gateway: Gateway, key: str, model: str) -> bool:
    """Whether this model can be looked up and used."""
    path, body = f"/v1/models/{quote(model, safe=':')}", {"model": model, "prompt": "hi"}
    async with gateway.http(key) as http:
        found = [await http.get(path), await http.post("/v1/completions", json=body)]
    assert found[0].status_code == found[1].status_code in {200, 404}
    codes = [answer.json().get("error", {}).get("code") for answer in found]
    assert codes == 2 * ["model_not_found" if found[0].status_code == 404 else None]
    return found[0].status_code == 200


async def test_a_permitted_tenant_uses_the_adapter_until_it_may_not(gateway: Gateway) -> None:
    adapter = gateway.publish()
    async with gateway.openai() as owner, gateway.openai(gateway.rival_key) as rival:
        assert not await answers(gateway, gateway.rival_key, adapter.model)
        [permission] = (await permissions(owner).create(adapter.model, project_ids=["rival"])).data
        assert permission.project_id == "rival"
        assert await answers(gateway, gateway.rival_key, adapter.model)
        model = await rival.models.retrieve(adapter.model)
        assert model.model_extra is not None
        assert (model.owned_by, model.model_extra["job_id"]) == ("acme", None)
        assert [model.id async for model in rival.models.list()] == ["base"]
        deleted = await permissions(owner).delete(
            permission.id, fine_tuned_model_checkpoint=adapter.model
        )
        assert (deleted.id, deleted.deleted) == (permission.id, True)
        assert not await answers(gateway, gateway.rival_key, adapter.model)
        assert await answers(gateway, gateway.key, adapter.model)


async def test_who_only_leads_an_alias_to_it_finds_nothing_to_delete(gateway: Gateway) -> None:
    adapter = gateway.publish()
    async with gateway.openai() as owner:
        await permissions(owner).create(adapter.model, project_ids=["rival"])
    async with gateway.http(gateway.rival_key) as http:
        named = await http.post("/v1/aliases", json={"name": "bot", "model": adapter.model})
        assert named.status_code == 200
        for path in ("adapters", "models"):
            answer = await http.delete(f"/v1/{path}/{adapter.model}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert await answers(gateway, gateway.rival_key, adapter.model)


async def test_the_prompt_of_a_permitted_tenant_is_cached_for_itself_alone(
    gateway: Gateway,
) -> None:
    adapter = gateway.publish()
    async with gateway.openai() as owner:
        await permissions(owner).create(adapter.model, project_ids=["rival"])
    for key in (gateway.key, gateway.rival_key, gateway.rival_key):
        assert await answers(gateway, key, adapter.model)
    salts = [body["cache_salt"] for _, body in gateway.engine.requests]
    assert salts[0] != salts[1] == salts[2]


async def test_deleting_the_adapter_ends_its_use_by_others(gateway: Gateway) -> None:
    adapter = gateway.publish()
    async with gateway.openai() as owner, gateway.openai(gateway.rival_key) as rival:
        await permissions(owner).create(adapter.model, project_ids=["rival"])
        with pytest.raises(openai.NotFoundError):
            await rival.models.delete(adapter.model)
        assert await answers(gateway, gateway.rival_key, adapter.model)
        assert (await owner.models.delete(adapter.model)).deleted
        assert not await answers(gateway, gateway.rival_key, adapter.model)
        with pytest.raises(openai.NotFoundError):
            await permissions(owner).list(adapter.model)


async def test_a_permission_is_for_one_name(gateway: Gateway) -> None:
    """That for a finished adapter opens none of its checkpoints, and the reverse."""
    adapter = gateway.publish()
    checkpoint = registered(gateway, model=f"{adapter.model}:ckpt-step-1")
    async with gateway.openai() as owner, gateway.openai(gateway.rival_key) as rival:
        await permissions(owner).create(adapter.model, project_ids=["rival"])
        with pytest.raises(openai.NotFoundError):
            await rival.models.retrieve(checkpoint.model)
        await permissions(owner).create(checkpoint.model, project_ids=["rival"])
        assert (await rival.models.retrieve(checkpoint.model)).id == checkpoint.model


async def test_the_stock_client_creates_lists_and_deletes(gateway: Gateway) -> None:
    adapter = registered(gateway, model=SLASHED)
    async with gateway.openai() as client:
        projects = ["p1", "p2", "p3", "p2"]
        made = (await permissions(client).create(SLASHED, project_ids=projects)).data
        assert [permission.project_id for permission in made] == ["p1", "p2", "p3"]
        again = (await permissions(client).create(SLASHED, project_ids=["p3"])).data
        assert [permission.id for permission in again] == [made[2].id]
        for order in ("ascending", "descending"):
            pages = permissions(client).list(adapter.model, limit=1, order=order)
            found = {permission.id async for permission in pages}
            assert found == {permission.id for permission in made}
        [one] = (await permissions(client).list(SLASHED, project_id="p2")).data
        assert one.id == made[1].id
        with pytest.warns(DeprecationWarning, match="Retrieve is deprecated"):
            page = await permissions(client).retrieve(SLASHED, limit=2)
        assert (len(page.data), page.has_more, page.last_id) == (2, True, page.data[-1].id)
        assert (await permissions(client).list(SLASHED, limit=0)).data == []
        await permissions(client).delete(one.id, fine_tuned_model_checkpoint=SLASHED)
        with pytest.raises(openai.NotFoundError) as raised:
            await permissions(client).delete(one.id, fine_tuned_model_checkpoint=SLASHED)
        assert raised.value.param == "permission_id"
        assert (await client.models.delete(SLASHED)).id == SLASHED


async def test_nobody_but_the_owner_manages_permissions(gateway: Gateway) -> None:
    adapter = gateway.publish()
    async with gateway.openai() as owner:
        [permission] = (await permissions(owner).create(adapter.model, project_ids=["rival"])).data
    absent = adapter.model[:-1] + "~"
    body = {"project_ids": ["rival"]}
    async with gateway.http(gateway.rival_key) as http:
        for method, path in [("GET", ""), ("POST", ""), ("DELETE", f"/{permission.id}")]:
            urls = [
                f"/v1/fine_tuning/checkpoints/{quote(model)}/permissions{path}"
                for model in (adapter.model, absent)
            ]
            sent = {"json": body} if method == "POST" else {}
            theirs, none = [await http.request(method, url, **sent) for url in urls]
            assert theirs.status_code == none.status_code == 404
            assert theirs.text == none.text.replace(absent, adapter.model)
    async with gateway.openai(gateway.new_key("jobs", "inference")) as unscoped:
        with pytest.raises(openai.PermissionDeniedError):
            await permissions(unscoped).list(adapter.model)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "project_ids"),
        ({"project_ids": []}, "empty_array", "project_ids"),
        ({"project_ids": "rival"}, "invalid_type", "project_ids"),
        ({"project_ids": [""]}, "string_below_min_length", "project_ids[0]"),
        ({"project_ids": ["a\0"]}, "invalid_value", "project_ids[0]"),
        ({"project_ids": ["x" * 129]}, "string_above_max_length", "project_ids[0]"),
        ({"project_ids": ["x"] * 101}, "array_above_max_length", "project_ids"),
        ({"project_ids": ["x"], "role": "owner"}, "unknown_parameter", "role"),
    ],
)
async def test_a_wrong_field_is_named(
    gateway: Gateway, body: dict[str, Any], code: str, param: str
) -> None:
    adapter = gateway.publish()
    async with gateway.http() as http:
        url = f"/v1/fine_tuning/checkpoints/{adapter.model}/permissions"
        answer = await http.post(url, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)


@pytest.mark.parametrize("query", ["after=x", "limit=101", "limit=-1", "order=asc"])
async def test_a_wrong_query_is_named(gateway: Gateway, query: str) -> None:
    adapter = gateway.publish()
    async with gateway.http() as http:
        answer = await http.get(f"/v1/fine_tuning/checkpoints/{adapter.model}/permissions?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == query.partition("=")[0]


async def test_the_base_model_needs_no_permission(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        with pytest.raises(openai.NotFoundError):
            await permissions(client).create("base", project_ids=["rival"])


def registered(gateway: Gateway, **values: Any) -> Adapter:
    """An adapter in the record alone."""
    adapter = an_adapter(**values)
    AdapterRecords(gateway.database).add(adapter)
    return adapter
