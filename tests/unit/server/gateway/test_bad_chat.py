"""Bad bodies of chat and completion requests: each names its field, and none reaches the engine."""

import asyncio
import re
from typing import Any

import orjson
import pytest
from prometheus_client import generate_latest

from tests.bad_chats import CHAT, Bad
from tests.hostile_chats import BAD, SURVIVED

from .composed import Gateway

HANG_S = 20.0
"""Far beyond the second that an answer may take: a test must not fail because the machine is busy.

What bounds the work are the sizes, and those are what the cases are about.
"""

OUR_OWN = re.compile(r"Traceback|File \"|\.py|/(usr|home|root|tmp)/|pydantic|orjson|site-packages")
"""What tells of the server's inside."""


@pytest.fixture
def gateway(refusing_gateway: Gateway) -> Gateway:
    return refusing_gateway


async def refused(
    gateway: Gateway, body: bytes, path: str = "/v1/chat/completions", **headers: str
) -> tuple[int, dict[str, Any]]:
    """Status and error of an answer that must be a refusal in OpenAI's shape."""
    sent = {"content-type": "application/json", **headers}
    async with gateway.http() as http, asyncio.timeout(HANG_S):
        answer = await http.post(path, content=body, headers=sent)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert answer.content.isascii()
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert isinstance(error["message"], str)
    assert len(error["message"]) < 1000
    assert not OUR_OWN.search(answer.text)
    assert gateway.engine.requests == []
    return answer.status_code, error


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_a_bad_body_is_refused_as_documented(gateway: Gateway, bad: Bad) -> None:
    status, error = await refused(gateway, bad.body, bad.path)
    assert (status, error["code"]) == (bad.status, bad.code), error
    assert bad.param is None or error["param"] == bad.param


async def test_a_good_request_beside_each_succeeds(gateway: Gateway) -> None:
    await gateway.see_engine()
    async with gateway.http() as http, asyncio.timeout(HANG_S):
        http.headers["content-type"] = "application/json"
        for bad in list(BAD.values())[::7]:
            refusal, answer = await asyncio.gather(
                http.post(bad.path, content=bad.body),
                http.post("/v1/chat/completions", content=orjson.dumps(CHAT)),
            )
            assert (refusal.status_code, answer.status_code) == (bad.status, 200)
    gateway.engine.requests.clear()


@pytest.mark.parametrize("body", SURVIVED.values(), ids=SURVIVED)
async def test_what_is_only_odd_is_answered(gateway: Gateway, body: bytes) -> None:
    await gateway.see_engine()
    async with gateway.http() as http, asyncio.timeout(HANG_S):
        http.headers["content-type"] = "application/json"
        answer = await http.post("/v1/chat/completions", content=body)
    gateway.engine.requests.clear()
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("media_type", ["text/plain", "", "multipart/form-data; boundary=x"])
async def test_another_media_type_is_refused(gateway: Gateway, media_type: str) -> None:
    status, error = await refused(gateway, orjson.dumps(CHAT), **{"content-type": media_type})
    assert (status, error["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "model",
    ["../rival/secret", "/etc", "..", "%2e%2e/x", "a\0b", "x" * 10_000, "Base", "base ", "😀"],
)
async def test_an_unknown_model_is_not_found(gateway: Gateway, model: str) -> None:
    status, error = await refused(gateway, orjson.dumps({**CHAT, "model": model}))
    assert (status, error["code"], error["param"]) == (404, "model_not_found", "model")


async def test_any_character_can_be_told_in_an_error(gateway: Gateway) -> None:
    _, error = await refused(gateway, orjson.dumps({**CHAT, "model": "😀é"}))
    assert "😀é" in error["message"]


async def test_of_a_duplicate_key_the_checked_value_is_the_one_that_runs(gateway: Gateway) -> None:
    await gateway.see_engine()
    body = b'{"model": "other", ' + orjson.dumps(CHAT)[1:]
    async with gateway.http() as http:
        http.headers["content-type"] = "application/json"
        assert (await http.post("/v1/chat/completions", content=body)).status_code == 200
    [(_, forwarded)] = gateway.engine.requests
    gateway.engine.requests.clear()
    assert forwarded["model"] == "base"


async def test_unknown_models_leave_no_trace(gateway: Gateway) -> None:
    names = [f"ft:base:org::{number}" for number in range(100)]
    for name in names[:2]:
        await refused(gateway, orjson.dumps({**CHAT, "model": name}))
    lines = generate_latest().count(b"\n")
    for name in names:
        status, _ = await refused(gateway, orjson.dumps({**CHAT, "model": name}))
        assert status == 404
    assert generate_latest().count(b"\n") == lines
    assert not [name for name in names if name.encode() in generate_latest()]


async def test_anothers_adapter_is_refused_like_one_that_never_was(gateway: Gateway) -> None:
    theirs, none = gateway.publish("rival").model, f"ft:base:tunery::{'0' * 32}"
    answers = [await refused(gateway, orjson.dumps({**CHAT, "model": m})) for m in (theirs, none)]
    assert str(answers[0]).replace(theirs, none) == str(answers[1])


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "FOO", "X" * 1000])
async def test_another_method_is_told_which_there_are(gateway: Gateway, method: str) -> None:
    async with gateway.http() as http:
        answer = await http.request(method, "/v1/completions", json=CHAT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
