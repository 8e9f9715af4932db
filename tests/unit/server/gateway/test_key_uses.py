"""When keys were used last, and what that says of a request for an account that is sent again."""

import time
from typing import Any

import pytest

from tunery_server.gateway.auth import ADMIN, INFERENCE, Authenticator
from tunery_server.tenants.key_uses import KeyUses

from .composed import Gateway
from .test_administration import an_account, chat, organization


async def sent(gateway: Gateway, retry: int, key: str | None = None) -> Any:
    """One sending of a request for an account, as the stock client counts them."""
    headers = {"x-stainless-retry-count": str(retry)}
    async with gateway.http(key) as http:
        path = "/v1/organization/projects/rival/service_accounts"
        return (await http.post(path, json={"name": "ci"}, headers=headers)).json()


def uses(gateway: Gateway) -> KeyUses:
    authenticator: Authenticator = gateway.app.state.services.authenticator
    return authenticator.uses


async def test_a_request_that_is_sent_again_is_one_account(gateway: Gateway) -> None:
    lost, value = [await sent(gateway, retry) for retry in (0, 1)]
    assert lost["id"] == value["id"]
    assert lost["api_key"]["id"] == value["api_key"]["id"]
    assert await chat(gateway, lost["api_key"]["value"]) == 401
    assert await chat(gateway, value["api_key"]["value"]) == 200
    another = await sent(gateway, 0)
    assert another["id"] != value["id"]


async def test_a_key_that_was_used_is_not_taken_back(gateway: Gateway) -> None:
    first = await sent(gateway, 0)
    assert await chat(gateway, first["api_key"]["value"]) == 200
    uses(gateway).flush()
    again = await sent(gateway, 1)
    assert again["id"] == first["id"]
    assert again["api_key"]["id"] != first["api_key"]["id"]
    assert await chat(gateway, first["api_key"]["value"]) == 200
    assert await chat(gateway, again["api_key"]["value"]) == 200


async def test_a_repeat_gives_no_more_than_the_key_that_asks_may(gateway: Gateway) -> None:
    first = await sent(gateway, 0)
    refused = await sent(gateway, 1, gateway.new_key(ADMIN, INFERENCE))
    assert refused["error"]["code"] == "insufficient_permissions"
    assert await chat(gateway, first["api_key"]["value"]) == 200


async def test_its_last_use_is_told_to_the_minute(gateway: Gateway) -> None:
    project, made = await an_account(gateway)
    async with gateway.openai() as client:
        keys = organization(client).projects.api_keys
        assert (await keys.retrieve(made.api_key.id, project_id=project)).last_used_at is None
        await chat(gateway, made.api_key.value)
        uses(gateway).flush()
        found = await keys.retrieve(made.api_key.id, project_id=project)
        assert found.last_used_at == pytest.approx(time.time(), abs=60)
        [own] = [key async for key in organization(client).admin_api_keys.list()]
    assert own.last_used_at == pytest.approx(time.time(), abs=60)
