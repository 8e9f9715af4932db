"""Good requests through the whole gateway, and what becomes of a failing engine."""

import asyncio
from typing import Any

import openai
import orjson
import pytest

from tests.engines import USAGE, Fault
from tunery_server.errors import EngineRefused, EngineTooSlow

from .composed import Gateway

MESSAGES: Any = [{"role": "user", "content": "hi"}]
CHAT = {"model": "base", "messages": MESSAGES}
TEXT = {"model": "base", "prompt": "hi"}
PATHS = [("/v1/chat/completions", CHAT), ("/v1/completions", TEXT)]


async def events(gateway: Gateway, path: str, body: dict[str, Any]) -> list[str]:
    """The data of every event of a stream."""
    async with gateway.http() as http:
        answer = await http.post(path, json={**body, "stream": True})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    *whole, rest = answer.text.split("\n\n")
    assert rest == ""
    return [event.removeprefix("data: ") for event in whole]


async def test_the_stock_client_gets_a_chat_answer(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        answer = await client.chat.completions.create(model="base", messages=MESSAGES)
    assert answer.choices[0].message.content == "Hi!"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 7


async def test_the_stock_client_gets_a_stream(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        stream = await client.chat.completions.create(model="base", messages=MESSAGES, stream=True)
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hi!"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


async def test_the_stock_client_gets_a_text_completion(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        answer = await client.completions.create(model="base", prompt="hi")
    assert answer.choices[0].text == "Hi!"


@pytest.mark.parametrize(("path", "body"), PATHS)
@pytest.mark.parametrize("chunk_bytes", [None, 1, 7])
async def test_usage_is_hidden_unless_asked_for(
    gateway: Gateway, path: str, body: dict[str, Any], chunk_bytes: int | None
) -> None:
    gateway.engine.chunk_bytes = chunk_bytes
    hidden = await events(gateway, path, body)
    shown = await events(gateway, path, {**body, "stream_options": {"include_usage": True}})
    assert hidden[-1] == shown[-1] == "[DONE]"
    assert "usage" not in "".join(hidden)
    assert orjson.loads(shown[-2])["usage"] == USAGE
    assert len(shown) == len(hidden) + 1


async def test_what_was_set_is_forwarded_and_nothing_else(gateway: Gateway) -> None:
    sampling = {
        "temperature": 0.5, "top_p": 1, "n": 2, "seed": -1, "stop": "###", "logprobs": True,
        "top_logprobs": 0, "presence_penalty": -2, "logit_bias": {"5": -100}, "min_p": 0,
        "top_k": -1, "repetition_penalty": 1.1, "max_completion_tokens": 5,
        "parallel_tool_calls": False, "tool_choice": "none",
    }  # fmt: skip
    ignored = {
        "user": "u", "store": False, "service_tier": "auto", "metadata": {"a": "b"},
        "prompt_cache_key": "k", "prompt_cache_retention": "24h", "safety_identifier": "s",
        "frequency_penalty": None, "max_tokens": None, "response_format": None,
    }  # fmt: skip
    async with gateway.http() as http:
        answer = await http.post("/v1/chat/completions", json={**CHAT, **sampling, **ignored})
    assert answer.status_code == 200, answer.text
    [(path, forwarded)] = gateway.engine.requests
    assert path == "/v1/chat/completions"
    assert forwarded.pop("cache_salt")
    assert forwarded == {**CHAT, **sampling}


async def test_every_kind_of_message_is_forwarded_as_it_came(gateway: Gateway) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    schema = {"name": "s", "schema": {"type": "object"}, "strict": True}
    messages = [
        {"role": "system", "content": "a\0b"},
        {"role": "developer", "content": [{"type": "text", "text": "<im_start>system"}]},
        {"role": "user", "content": "😀", "name": "ann"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "4", "tool_call_id": "1"},
    ]
    body = {
        **CHAT,
        "messages": messages,
        "tools": [tool],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": schema},
    }
    async with gateway.http() as http:
        assert (await http.post("/v1/chat/completions", json=body)).status_code == 200
    [(_, forwarded)] = gateway.engine.requests
    del forwarded["cache_salt"]
    assert forwarded == body


@pytest.mark.parametrize("prompt", ["x", [1, 2], ["a", "b"], [[1], [2, 3]]])
async def test_every_kind_of_prompt_is_forwarded_as_it_came(
    gateway: Gateway, prompt: object
) -> None:
    async with gateway.http() as http:
        await http.post("/v1/completions", json={**TEXT, "prompt": prompt, "stop": ["a"] * 4})
    [(path, forwarded)] = gateway.engine.requests
    assert (path, forwarded["prompt"]) == ("/v1/completions", prompt)


async def test_each_tenant_has_a_salt_of_its_own(gateway: Gateway) -> None:
    for key in (gateway.key, gateway.key, gateway.new_key(tenant="acme"), gateway.rival_key):
        async with gateway.http(key) as http:
            await http.post("/v1/chat/completions", json=CHAT)
    salts = [body["cache_salt"] for _, body in gateway.engine.requests]
    assert salts[0] == salts[1] == salts[2] != salts[3]
    assert all(len(salt) == 64 and int(salt, 16) for salt in salts)


async def test_an_adapter_is_loaded_by_its_first_request(gateway: Gateway) -> None:
    adapter = gateway.publish()
    body = {**CHAT, "model": adapter.model}
    async with gateway.http() as http:
        answers = await asyncio.gather(
            *(http.post("/v1/chat/completions", json=body) for _ in range(5))
        )
    assert [answer.status_code for answer in answers] == [200] * 5
    [(name, folder)] = gateway.engine.loads
    assert name == adapter.model
    assert (folder / "adapter_model.safetensors").is_file()
    assert {body["model"] for _, body in gateway.engine.requests} == {adapter.model}


async def test_another_tenants_adapter_is_an_absent_one(gateway: Gateway) -> None:
    adapter = gateway.publish()
    absent = adapter.model[:-1] + "~"
    async with gateway.http(gateway.rival_key) as http:
        for path, body in PATHS:
            theirs = await http.post(path, json={**body, "model": adapter.model})
            none = await http.post(path, json={**body, "model": absent})
            assert theirs.status_code == none.status_code == 404
            assert theirs.text == none.text.replace(absent, adapter.model)
    assert gateway.engine.loads == []


@pytest.mark.parametrize("fault", [Fault.AWAY, Fault.SILENT])
@pytest.mark.parametrize(("path", "body"), PATHS)
async def test_an_engine_that_is_gone_before_a_stream_is_a_503(
    gateway: Gateway, fault: Fault, path: str, body: dict[str, Any]
) -> None:
    gateway.engine.fault = fault
    async with gateway.http() as http:
        answer = await http.post(path, json={**body, "stream": True})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("service_unavailable_error", "engine_restarting")


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.DIES])
@pytest.mark.parametrize(("path", "body"), PATHS)
async def test_a_stream_that_breaks_off_ends_with_an_error(
    gateway: Gateway, fault: Fault, path: str, body: dict[str, Any]
) -> None:
    gateway.engine.fault = fault
    *_, last = await events(gateway, path, body)
    error = orjson.loads(last)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == "engine_restarting"
    assert gateway.engine.running == 0


@pytest.mark.promise("P18", fault="a stream breaks off; the stock client")
async def test_the_stock_client_notices_a_stream_that_breaks_off(gateway: Gateway) -> None:
    gateway.engine.fault = Fault.CUT
    async with gateway.openai() as client:
        stream = await client.chat.completions.create(model="base", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError, match="went away"):
            [chunk async for chunk in stream]


@pytest.mark.parametrize("fault", [Fault.AWAY, Fault.DIES])
async def test_an_engine_that_is_gone_is_a_503(gateway: Gateway, fault: Fault) -> None:
    gateway.engine.fault = fault
    async with gateway.openai() as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(model="base", messages=MESSAGES)
    assert raised.value.status_code == 503
    assert raised.value.code == "engine_restarting"
    assert gateway.engine.running == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_that_takes_too_long_is_no_loss_to_others(
    gateway: Gateway, stream: bool
) -> None:
    adapter = gateway.publish()
    gateway.engine.fault, gateway.engine.refusal = Fault.REFUSES, EngineTooSlow("too slow")
    async with gateway.http() as http:
        answer = await http.post("/v1/chat/completions", json={**CHAT, "stream": stream})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_restarting")
        gateway.engine.fault = Fault.NONE
        answer = await http.post("/v1/chat/completions", json={**CHAT, "model": adapter.model})
    assert answer.status_code == 200


async def test_an_adapter_waits_for_no_engine(gateway: Gateway) -> None:
    adapter = gateway.publish()
    gateway.app.state.services.residency.observe(None)
    async with gateway.http() as http:
        answer = await http.post("/v1/chat/completions", json={**CHAT, "model": adapter.model})
    assert answer.status_code == 503
    assert gateway.engine.loads == []


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (EngineRefused("Traceback /opt/vllm 0x7f", status=400), 400, "invalid_value"),
        (EngineRefused("Grammar error: at /opt/vllm", status=400), 400, "invalid_schema"),
        (EngineRefused("no such route", status=404), 400, "invalid_value"),
        (
            EngineRefused("This model's maximum context length is 2048 tokens", status=400),
            400,
            "context_length_exceeded",
        ),
        (EngineRefused("Traceback /opt/vllm 0x7f", status=500), 503, "engine_error"),
        (EngineRefused("too many", status=503), 503, "engine_error"),
    ],
    ids=["400", "grammar", "404", "context", "500", "503"],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_of_the_engine_is_told_in_our_words(
    gateway: Gateway, refusal: EngineRefused, status: int, code: str, stream: bool
) -> None:
    gateway.engine.fault, gateway.engine.refusal = Fault.REFUSES, refusal
    async with gateway.http() as http:
        answer = await http.post("/v1/chat/completions", json={**CHAT, "stream": stream})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert "Traceback" not in answer.text
    assert "/opt" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_an_adapter_that_cannot_be_loaded_hurts_nobody_else(gateway: Gateway) -> None:
    adapter = gateway.publish()
    gateway.engine.load_error = EngineRefused("cannot load", status=400)
    async with gateway.http() as http:
        bad = await http.post("/v1/chat/completions", json={**CHAT, "model": adapter.model})
        good = await http.post("/v1/chat/completions", json=CHAT)
    assert (bad.status_code, good.status_code) == (400, 200)


async def test_a_body_that_kills_the_engine_twice_is_refused(gateway: Gateway) -> None:
    killer = {**CHAT, "seed": 666}
    async with gateway.http() as http:
        for _ in range(2):
            gateway.engine.fault = Fault.DIES
            lost = await http.post("/v1/chat/completions", json=killer)
            assert lost.status_code == 503
            gateway.engine.fault = Fault.NONE
            gateway.engine.restart()
            await gateway.see_engine()
        gateway.engine.requests.clear()
        refused = await http.post("/v1/chat/completions", json=killer)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "request_refused")
        assert gateway.engine.requests == []
        assert (await http.post("/v1/chat/completions", json=CHAT)).status_code == 200
