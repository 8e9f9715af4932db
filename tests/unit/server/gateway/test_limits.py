"""Limits as clients meet them: exact, told in headers, and no matter while Redis is away."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic import RateLimitError as AnthropicRateLimitError
from openai import RateLimitError

from tests.engines import Fault, ScriptedEngine
from tunery_server.config import Settings
from tunery_server.gateway.app import create_app
from tunery_server.records.tenant_rows import TenantPolicy
from tunery_server.records.tenants import TenantPolicies

from .composed import Gateway, composed

MESSAGES: Any = [{"role": "user", "content": "hi"}]
CHAT = {"model": "base", "messages": MESSAGES}
USED_TOKENS = 7
"""By the scripted engine, for every chat."""


def limit(gateway: Gateway, **limits: int) -> None:
    TenantPolicies(gateway.database, TenantPolicy(tenant_id="")).set("acme", **limits)


async def chat(gateway: Gateway, key: str | None = None, **values: Any) -> httpx2.Response:
    async with gateway.http(key) as http:
        return await http.post("/v1/chat/completions", json={**CHAT, **values})


@pytest.mark.promise("P24", fault="100 requests at once to two gateways")
async def test_a_hundred_at_once_through_two_gateways_get_exactly_the_limit(
    gateway: Gateway,
) -> None:
    limit(gateway, requests_per_minute=10)
    other = Gateway(
        create_app(gateway.settings, gateway.engine),
        gateway.engine,
        gateway.settings,
        gateway.database,
        gateway.key,
        gateway.rival_key,
    )
    await other.see_engine()
    answers = await asyncio.gather(*(chat(one) for _ in range(50) for one in (gateway, other)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 10 + [429] * 90
    assert len(gateway.engine.requests) == 10
    assert (await chat(gateway, gateway.rival_key)).status_code == 200


async def test_an_answer_tells_what_is_left(gateway: Gateway) -> None:
    limit(gateway, requests_per_minute=60, tokens_per_minute=60_000)
    headers = (await chat(gateway, max_tokens=100)).headers
    assert headers["x-ratelimit-limit-requests"] == "60"
    assert headers["x-ratelimit-remaining-requests"] == "59"
    assert re.fullmatch(r"1s|\d+ms", headers["x-ratelimit-reset-requests"])
    assert headers["x-ratelimit-limit-tokens"] == "60000"
    assert 59_800 < int(headers["x-ratelimit-remaining-tokens"]) < 59_900
    assert re.fullmatch(r"\d+ms", headers["x-ratelimit-reset-tokens"])


async def test_a_refusal_tells_the_stock_client_when_to_come_back(gateway: Gateway) -> None:
    limit(gateway, requests_per_minute=1)
    async with gateway.openai() as client:
        await client.chat.completions.create(model="base", messages=MESSAGES)
        with pytest.raises(RateLimitError) as refusal:
            await client.chat.completions.create(model="base", messages=MESSAGES)
    assert refusal.value.code == "rate_limit_exceeded"
    assert refusal.value.type == "rate_limit_error"
    assert "1 requests a minute" in refusal.value.message
    assert 55 <= int(refusal.value.response.headers["retry-after"]) <= 60
    assert refusal.value.response.headers["x-ratelimit-remaining-requests"] == "0"


async def test_anthropics_client_hears_it_in_its_own_words(gateway: Gateway) -> None:
    limit(gateway, requests_per_minute=1)
    async with gateway.anthropic() as client:
        raw = await client.messages.with_raw_response.create(
            model="base", messages=MESSAGES, max_tokens=5
        )
        assert raw.headers["anthropic-ratelimit-requests-limit"] == "1"
        assert raw.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
        with pytest.raises(AnthropicRateLimitError):
            await client.messages.create(model="base", messages=MESSAGES, max_tokens=5)


async def test_what_an_answer_did_not_take_is_given_back(gateway: Gateway) -> None:
    limit(gateway, tokens_per_minute=1000)
    for _ in range(20):
        assert (await chat(gateway, max_tokens=500)).status_code == 200
    left = int((await chat(gateway, max_tokens=1)).headers["x-ratelimit-remaining-tokens"])
    assert 1000 - 21 * USED_TOKENS - 50 < left < 1000


async def test_a_stream_is_settled_before_its_client_knows_that_it_ended(
    gateway: Gateway,
) -> None:
    limit(gateway, concurrent_requests=1, tokens_per_minute=1000)
    for _ in range(20):
        answer = await chat(gateway, stream=True, max_tokens=500)
        assert answer.status_code == 200
        assert answer.text.endswith("data: [DONE]\n\n")


@pytest.mark.promise("P19", fault="a client of a tenant with one place goes")
async def test_a_client_that_leaves_gives_its_place_back(gateway: Gateway) -> None:
    limit(gateway, concurrent_requests=1)
    gateway.engine.fault = Fault.SLOW
    async with gateway.http() as http:
        asking = asyncio.create_task(http.post("/v1/chat/completions", json=CHAT))
        await gateway.engine.begun.wait()
        assert (await chat(gateway)).status_code == 429
        asking.cancel()
        await asyncio.wait({asking})
    gateway.engine.fault = Fault.NONE
    assert (await chat(gateway)).status_code == 200


async def test_a_request_that_the_engine_failed_costs_no_tokens(gateway: Gateway) -> None:
    limit(gateway, tokens_per_minute=1000, concurrent_requests=1)
    gateway.engine.fault = Fault.REFUSES
    for _ in range(5):
        assert (await chat(gateway, max_tokens=900)).status_code == 400
    gateway.engine.fault = Fault.NONE
    assert (await chat(gateway, max_tokens=900)).status_code == 200


async def test_a_request_larger_than_the_limit_is_not_to_be_repeated(gateway: Gateway) -> None:
    limit(gateway, tokens_per_minute=100)
    answer = await chat(gateway, max_tokens=200)
    assert answer.status_code == 429
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers


async def test_without_redis_requests_pass_uncounted(tmp_path: Path, migrated: Path) -> None:
    settings = Settings(home=tmp_path / "home", redis_url="unix:///nowhere/redis.sock")
    gateway = composed(settings, ScriptedEngine(), migrated)
    await gateway.see_engine()
    limit(gateway, requests_per_minute=1)
    model = settings.base_model_name
    assert [(await chat(gateway, model=model)).status_code for _ in range(3)] == [200] * 3


async def test_without_limits_no_header_speaks_of_them(gateway: Gateway) -> None:
    assert not [name for name in (await chat(gateway)).headers if "ratelimit" in name]
