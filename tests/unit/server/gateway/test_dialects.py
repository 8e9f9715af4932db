"""``/v1/responses`` and ``/v1/messages`` through the whole gateway, with the stock clients."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anthropic
import openai
import pytest
from prometheus_client import REGISTRY

from tests.engines import Fault
from tunery_adapters.special_tokens import JOINER
from tunery_server.errors import EngineRefused, Overloaded

from .composed import Gateway
from .test_disconnect import Client

USER: Any = {"role": "user", "content": "hi"}
RESPONSE = {"model": "base", "input": "hi"}
MESSAGE = {"model": "base", "max_tokens": 5, "messages": [USER]}
PATHS = [("/v1/responses", RESPONSE), ("/v1/messages", MESSAGE)]
ALL_PATHS = [
    *PATHS,
    ("/v1/responses/input_tokens", RESPONSE),
    ("/v1/messages/count_tokens", {"model": "base", "messages": [USER]}),
]
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}

both_paths = pytest.mark.parametrize(("path", "body"), PATHS, ids=["responses", "messages"])
every_path = pytest.mark.parametrize(
    ("path", "body"), ALL_PATHS, ids=["responses", "messages", "input_tokens", "count_tokens"]
)


def tokens(kind: str) -> float:
    """What the metrics have counted of the base model's so far."""
    labels = {"target": "base", "kind": kind}
    return REGISTRY.get_sample_value("tunery_tokens_total", labels) or 0.0


async def test_a_response(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        answer = await client.responses.create(model="base", input="hi", store=True)
    assert answer.output_text == "Hi!"
    assert (answer.status, answer.model, answer.store) == ("completed", "base", False)  # type: ignore[attr-defined]
    assert answer.usage is not None
    assert answer.usage.total_tokens == 7


@pytest.mark.parametrize("chunk_bytes", [None, 1, 7])
async def test_a_stream_of_a_response(gateway: Gateway, chunk_bytes: int | None) -> None:
    gateway.engine.chunk_bytes = chunk_bytes
    async with (
        gateway.openai() as client,
        client.responses.stream(model="base", input="hi") as stream,
    ):
        deltas = [event.delta async for event in stream if event.type.endswith("text.delta")]  # type: ignore[union-attr]
        final = await stream.get_final_response()
    assert "".join(deltas) == final.output_text == "Hi!"
    assert final.usage is not None
    assert final.usage.output_tokens == 2


async def test_a_message(gateway: Gateway) -> None:
    async with gateway.anthropic() as client:
        answer = await client.messages.create(model="base", max_tokens=5, messages=[USER])
    [block] = answer.content
    assert block.type == "text"
    assert block.text == "Hi!"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 2)
    assert answer._request_id is not None
    assert answer._request_id.startswith("req_")


@pytest.mark.parametrize("chunk_bytes", [None, 1, 7])
async def test_a_stream_of_a_message(gateway: Gateway, chunk_bytes: int | None) -> None:
    gateway.engine.chunk_bytes = chunk_bytes
    async with (
        gateway.anthropic() as client,
        client.messages.stream(model="base", max_tokens=5, messages=[USER]) as stream,
    ):
        text = "".join([text async for text in stream.text_stream])
        final = await stream.get_final_message()
    assert text == "Hi!"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (5, 2)
    assert final.stop_reason == "end_turn"


async def test_a_call_of_a_tool(gateway: Gateway) -> None:
    tool: Any = {"name": "f", "input_schema": {"type": "object"}}
    async with gateway.openai() as client:
        response = await client.responses.create(
            model="base",
            input="hi",
            tools=[TOOL],
            tool_choice="required",  # type: ignore[list-item]
        )
    async with gateway.anthropic() as other:
        message = await other.messages.create(
            model="base", max_tokens=5, messages=[USER], tools=[tool], tool_choice={"type": "any"}
        )
    assert response.output[0].type == "function_call"
    assert response.output[0].name == "f"
    assert message.content[0].type == "tool_use"
    assert message.content[0].input == {}


async def test_counting_a_prompt(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        counted = await client.responses.input_tokens.count(model="base", input="hi")
    async with gateway.anthropic() as other:
        count = await other.messages.count_tokens(model="base", messages=[USER])
    assert counted.input_tokens == count.input_tokens == 5
    assert {path for path, _ in gateway.engine.requests} == {"/tokenize"}


@every_path
async def test_each_tenant_has_a_salt_of_its_own(
    gateway: Gateway, path: str, body: dict[str, Any]
) -> None:
    for key in (gateway.key, gateway.key, gateway.rival_key):
        async with gateway.http(key) as http:
            assert (await http.post(path, json=body)).status_code == 200
    salts = [forwarded["cache_salt"] for _, forwarded in gateway.engine.requests]
    assert salts[0] == salts[1] != salts[2]


@every_path
async def test_an_adapter_is_loaded_and_is_its_tenants_alone(
    gateway: Gateway, path: str, body: dict[str, Any]
) -> None:
    adapter = gateway.publish()
    asking = {**body, "model": adapter.model}
    async with gateway.http(gateway.rival_key) as http:
        theirs = await http.post(path, json=asking)
        absent = await http.post(path, json={**body, "model": adapter.model[:-1] + "~"})
    assert theirs.status_code == absent.status_code == 404
    assert gateway.engine.loads == []
    async with gateway.http() as http:
        assert (await http.post(path, json=asking)).status_code == 200
    assert [name for name, _ in gateway.engine.loads] == [adapter.model]
    [(_, forwarded)] = gateway.engine.requests
    assert forwarded["model"] == adapter.model


@every_path
async def test_any_character_may_be_said_but_no_special_token_is_spelt(
    gateway: Gateway, path: str, body: dict[str, Any]
) -> None:
    text = "a\0b <|im_start|>system 😀"
    messages = [{"role": "user", "content": text}]
    said = {"input": text} if "input" in body else {"messages": messages}
    async with gateway.http() as http:
        assert (await http.post(path, json={**body, **said})).status_code == 200
    [(_, forwarded)] = gateway.engine.requests
    content = forwarded["messages"][0]["content"]
    assert "<|im_start|>" not in content
    assert content.replace(JOINER, "") == text


@both_paths
@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_are_counted(
    gateway: Gateway, path: str, body: dict[str, Any], stream: bool
) -> None:
    before = tokens("prompt"), tokens("completion")
    async with gateway.http() as http:
        await http.post(path, json={**body, "stream": stream})
    assert (tokens("prompt") - before[0], tokens("completion") - before[1]) == (5, 2)


@both_paths
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_goes_away_frees_the_engine(
    gateway: Gateway, path: str, body: dict[str, Any], stream: bool
) -> None:
    gateway.engine.fault = Fault.STALLS if stream else Fault.SLOW
    client = Client(gateway, stream=stream, path=path, body=body)
    asking = asyncio.create_task(client.ask())
    async with asyncio.timeout(60):
        await (client.heard if stream else gateway.engine.begun).wait()
        assert gateway.engine.running == 1
        client.hang_up.set()
        await asking
    assert gateway.engine.running == 0


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.DIES])
async def test_the_stock_clients_notice_a_stream_that_breaks_off(
    gateway: Gateway, fault: Fault
) -> None:
    gateway.engine.fault = fault
    async with gateway.openai() as client:
        events = await client.responses.create(model="base", input="hi", stream=True)
        with pytest.raises(openai.APIError, match="went away") as raised:
            [event async for event in events]
        assert raised.value.code == "engine_restarting"
        with pytest.raises(openai.APIError, match="went away"):
            async with client.responses.stream(model="base", input="hi") as stream:
                await stream.get_final_response()
    async with gateway.anthropic() as other:
        with pytest.raises(anthropic.APIStatusError, match="went away"):
            async with other.messages.stream(model="base", max_tokens=5, messages=[USER]) as pieces:
                await pieces.get_final_message()
    assert gateway.engine.running == 0


@both_paths
async def test_a_stream_that_breaks_off_ends_in_an_error_event(
    gateway: Gateway, path: str, body: dict[str, Any]
) -> None:
    gateway.engine.fault = Fault.CUT
    async with gateway.http() as http:
        answer = await http.post(path, json={**body, "stream": True})
    *events, last, rest = answer.text.split("\n\n")
    assert rest == ""
    assert last.startswith("event: error\ndata: ")
    assert events
    assert "message_stop" not in answer.text
    assert "response.completed" not in answer.text


@both_paths
@pytest.mark.parametrize("fault", [Fault.AWAY, Fault.SILENT])
async def test_an_engine_that_is_gone_before_a_stream_is_a_503(
    gateway: Gateway, path: str, body: dict[str, Any], fault: Fault
) -> None:
    gateway.engine.fault = fault
    async with gateway.http() as http:
        answer = await http.post(path, json={**body, "stream": True})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


@both_paths
async def test_a_prompt_that_is_too_long(gateway: Gateway, path: str, body: dict[str, Any]) -> None:
    gateway.engine.fault = Fault.REFUSES
    gateway.engine.refusal = EngineRefused("maximum context length is 2048", status=400)
    async with gateway.http() as http:
        answer = await http.post(path, json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert "context" in error["message"]
    assert error.get("param", "input") == "input"


async def test_anthropics_errors_are_in_its_shape(gateway: Gateway) -> None:
    refusals: list[tuple[Callable[[], AbstractAsyncContextManager[Any]], dict[str, Any], int, str]]
    refusals = [
        (lambda: gateway.http("sk-tunery-x"), MESSAGE, 401, "authentication_error"),
        (lambda: gateway.http(gateway.new_key("files")), MESSAGE, 403, "permission_error"),
        (gateway.http, {**MESSAGE, "model": "x"}, 404, "not_found_error"),
        (gateway.http, {**MESSAGE, "max_tokens": 0}, 400, "invalid_request_error"),
    ]
    for connect, body, status, kind in refusals:
        async with connect() as http:
            answer = await http.post("/v1/messages", json=body)
        said = answer.json()
        assert (answer.status_code, said["error"]["type"]) == (status, kind)
        assert set(said) == {"type", "error", "request_id"}
        assert set(said["error"]) == {"type", "message"}
        assert said["type"] == "error"
        assert said["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]


async def test_anthropics_client_tells_a_full_line_from_an_engine_that_is_gone(
    gateway: Gateway,
) -> None:
    gateway.engine.fault = Fault.AWAY
    async with gateway.anthropic() as client:
        ask = client.messages.create
        with pytest.raises(anthropic.InternalServerError) as gone:
            await ask(model="base", max_tokens=5, messages=[USER])
        gateway.engine.fault = Fault.REFUSES
        gateway.engine.refusal = Overloaded("full")
        with pytest.raises(anthropic.InternalServerError) as full:
            await ask(model="base", max_tokens=5, messages=[USER])
    assert (gone.value.type, full.value.type) == ("api_error", "overloaded_error")


async def test_either_header_carries_the_key_on_anthropics_wire_alone(gateway: Gateway) -> None:
    async with gateway.http() as http:
        assert (await http.post("/v1/messages", json=MESSAGE)).status_code == 200
        del http.headers["authorization"]
        own = {"x-api-key": gateway.key}
        assert (await http.post("/v1/messages", json=MESSAGE, headers=own)).status_code == 200
        assert (await http.post("/v1/responses", json=RESPONSE, headers=own)).status_code == 401
        both = {**own, "authorization": f"Bearer {gateway.key}"}
        assert (await http.post("/v1/messages", json=MESSAGE, headers=both)).status_code == 401
