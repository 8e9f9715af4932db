"""Bad bodies of ``/v1/responses`` and ``/v1/messages``: each is named, none reaches the engine."""

import json
from typing import Any

import orjson
import pytest

from tests.bad_chats import NOT_JSON, nested

from .composed import Gateway

RESPONSE = {"model": "base", "input": "hi"}
USER = {"role": "user", "content": "hi"}
MESSAGE = {"model": "base", "max_tokens": 5, "messages": [USER]}
ROUTES = {"/v1/responses": RESPONSE, "/v1/messages": MESSAGE}
COUNTING = {
    "/v1/responses/input_tokens": RESPONSE,
    "/v1/messages/count_tokens": {"model": "base", "messages": [USER]},
}

FUNCTION = {"type": "function", "name": "f"}
CALL = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
USE = {"type": "tool_use", "id": "1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "1", "content": "x"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}

Wrong = dict[str, tuple[dict[str, Any], str, str | None]]


def items(*values: object) -> dict[str, Any]:
    return {"input": list(values)}


def prompt(content: object) -> dict[str, Any]:
    return items({"role": "user", "content": content})


def said(*values: object) -> dict[str, Any]:
    return {"messages": list(values)}


def user(content: object) -> dict[str, Any]:
    return said({"role": "user", "content": content})


def answered(block: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": [block]}


def text_format(value: object) -> dict[str, Any]:
    return {"text": {"format": value}}


WRONG_RESPONSES: Wrong = {
    "model-missing": ({"model": None}, "invalid_type", "model"),
    "model-empty": ({"model": ""}, "string_below_min_length", "model"),
    "input-null": ({"input": None}, "invalid_type", "input"),
    "input-number": ({"input": 5}, "invalid_type", "input"),
    "input-empty": (items(), "empty_array", "input"),
    "input-many": (items(*[USER] * 4097), "array_above_max_length", "input"),
    "item-null": (items(None), "invalid_type", "input[0]"),
    "item-text": (items("x"), "invalid_type", "input[0]"),
    "item-type": (items({"type": "computer_call"}), "unsupported_content", "input[0]"),
    "item-reference": (items({"type": "item_reference"}), "unsupported_content", "input[0]"),
    "item-reasoning": (items({"type": "reasoning"}), "unsupported_content", "input[0]"),
    "item-role": (items({"role": "wizard", "content": "x"}), "invalid_value", "input[0].role"),
    "item-no-role": (items({"content": "x"}), "missing_required_parameter", "input[0].role"),
    "item-extra": (items({**USER, "a": 1}), "unknown_parameter", "input[0].a"),
    "content-null": (prompt(None), "invalid_type", "input[0].content"),
    "content-empty": (prompt([]), "empty_array", "input[0].content"),
    "content-number": (prompt(5), "invalid_type", "input[0].content"),
    "content-image": (
        prompt([{"type": "input_image", "image_url": "http://169.254.169.254/"}]),
        "unsupported_content",
        "input[0].content[0]",
    ),
    "content-file": (
        prompt([{"type": "input_file", "file_url": "file:///etc/passwd"}]),
        "unsupported_content",
        "input[0].content[0]",
    ),
    "assistant-part": (
        items({"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}),
        "invalid_value",
        "input[0].content[0]",
    ),
    "annotations": (
        items({
            "role": "assistant",
            "content": [{"type": "output_text", "text": "x", "annotations": [{}]}],
        }),
        "array_above_max_length",
        "input[0].content[0].annotations",
    ),
    "call-no-id": (
        items({"type": "function_call", "name": "f", "arguments": "{}"}),
        "missing_required_parameter",
        "input[0].call_id",
    ),
    "call-name": (items({**CALL, "name": "a b"}), "invalid_value", "input[0].name"),
    "call-arguments": (items({**CALL, "arguments": {}}), "invalid_type", "input[0].arguments"),
    "output-null": (
        items({"type": "function_call_output", "call_id": "1", "output": None}),
        "invalid_type",
        "input[0].output",
    ),
    "instructions": ({"instructions": ["x"]}, "invalid_type", "instructions"),
    "max-zero": ({"max_output_tokens": 0}, "integer_below_min_value", "max_output_tokens"),
    "max-huge": ({"max_output_tokens": 2**31}, "integer_above_max_value", "max_output_tokens"),
    "max-text": ({"max_output_tokens": "5"}, "invalid_type", "max_output_tokens"),
    "max-true": ({"max_output_tokens": True}, "invalid_type", "max_output_tokens"),
    "temperature": ({"temperature": 2.1}, "decimal_above_max_value", "temperature"),
    "top_p": ({"top_p": 0}, "decimal_below_min_value", "top_p"),
    "top_logprobs": ({"top_logprobs": 21}, "integer_above_max_value", "top_logprobs"),
    "include": ({"include": ["file_search_call.results"]}, "unsupported_value", "include[0]"),
    "encrypted": ({"include": ["reasoning.encrypted_content"]}, "unsupported_value", "include[0]"),
    "tool-web-search": ({"tools": [{"type": "web_search"}]}, "unsupported_value", "tools[0]"),
    "tool-mcp": ({"tools": [{"type": "mcp", "server_url": ""}]}, "unsupported_value", "tools[0]"),
    "tool-code": ({"tools": [{"type": "code_interpreter"}]}, "unsupported_value", "tools[0]"),
    "tool-custom": ({"tools": [{"type": "custom", "name": "f"}]}, "unsupported_value", "tools[0]"),
    "tool-name": ({"tools": [{**FUNCTION, "name": "a b"}]}, "invalid_value", "tools[0].name"),
    "tool-deep": (
        {"tools": [{**FUNCTION, "parameters": nested(40)}]},
        "invalid_value",
        "tools[0].parameters",
    ),
    "tools-many": ({"tools": [FUNCTION] * 129}, "array_above_max_length", "tools"),
    "choice-alone": ({"tool_choice": "required"}, "invalid_value", None),
    "choice-type": ({"tool_choice": {"type": "web_search"}}, "missing_required_parameter", None),
    "format-type": (text_format({"type": "grammar"}), "invalid_value", "text.format"),
    "format-no-name": (
        text_format({"type": "json_schema", "schema": {}}),
        "missing_required_parameter",
        "text.format.name",
    ),
    "schema-deep": (
        text_format({"type": "json_schema", "name": "s", "schema": nested(300)}),
        "invalid_value",
        "text.format.schema",
    ),
    "verbosity": ({"text": {"verbosity": "high"}}, "unsupported_value", "text.verbosity"),
    "stream-text": ({"stream": "true"}, "invalid_type", "stream"),
    "stream-options": ({"stream_options": {}}, "invalid_value", None),
    "background": ({"background": True}, "unsupported_parameter", "background"),
    "previous": ({"previous_response_id": "x"}, "unsupported_parameter", "previous_response_id"),
    "conversation": ({"conversation": {"id": "c"}}, "unsupported_parameter", "conversation"),
    "prompt": ({"prompt": {"id": "p"}}, "unsupported_parameter", "prompt"),
    "reasoning": ({"reasoning": {"effort": "high"}}, "unsupported_value", "reasoning.effort"),
    "truncation": ({"truncation": "auto"}, "unsupported_value", "truncation"),
    "user-nul": ({"user": "a\0b"}, "invalid_value", "user"),
    "metadata": ({"metadata": {"a": 5}}, "invalid_type", "metadata.a"),
}  # fmt: skip

WRONG_MESSAGES: dict[str, tuple[dict[str, Any], str]] = {
    "model-empty": ({"model": ""}, "model"),
    "messages-null": ({"messages": None}, "messages"),
    "messages-empty": (said(), "messages"),
    "messages-many": (said(*[USER] * 4097), "messages"),
    "message-null": (said(None), "messages[0]"),
    "message-role": (said({"role": "tool", "content": "x"}), "messages[0]"),
    "message-extra": (said({**USER, "name": "x"}), "messages[0].name"),
    "content-null": (user(None), "messages[0].content"),
    "content-empty": (user([]), "messages[0].content"),
    "image": (
        user([{"type": "image", "source": {"type": "url", "url": "http://169.254.169.254/"}}]),
        "messages[0].content[0]",
    ),
    "document": (user([{"type": "document"}]), "messages[0].content[0]"),
    "thinking": (
        said(USER, answered({"type": "thinking", "thinking": "x"})),
        "messages[1].content[0]",
    ),
    "use-by-user": (user([USE]), "messages[0].content[0]"),
    "use-input": (
        said(USER, answered({**USE, "input": "x"}), USER),
        "messages[1].content[0].input",
    ),
    "use-last": (said(USER, answered(USE)), "messages"),
    "result-no-id": (user([{"type": "tool_result"}]), "messages[0].content[0].tool_use_id"),
    "result-image": (
        user([{**RESULT, "content": [{"type": "image", "source": {}}]}]),
        "messages[0].content[0].content[0]",
    ),
    "citations": (
        user([{"type": "text", "text": "x", "citations": [{}]}]),
        "messages[0].content[0].citations",
    ),
    "system": ({"system": 5}, "system"),
    "max-zero": ({"max_tokens": 0}, "max_tokens"),
    "max-null": ({"max_tokens": None}, "max_tokens"),
    "temperature": ({"temperature": 1.1}, "temperature"),
    "top_k": ({"top_k": -1}, "top_k"),
    "stop-five": ({"stop_sequences": ["a"] * 5}, "stop_sequences"),
    "stop-empty": ({"stop_sequences": [""]}, "stop_sequences[0]"),
    "tool-type": (
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        "tools[0]",
    ),
    "tool-deep": (
        {"tools": [{**TOOL, "input_schema": nested(40)}]},
        "tools[0].input_schema",
    ),
    "choice-alone": ({"tool_choice": {"type": "any"}}, "tool_choice"),
    "thinking-on": (
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        "thinking",
    ),
    "effort": ({"output_config": {"effort": "high"}}, "output_config.effort"),
    "user-nul": ({"metadata": {"user_id": "a\0b"}}, "metadata.user_id"),
    "stream-text": ({"stream": "yes"}, "stream"),
}  # fmt: skip

PATTERN = {"type": "object", "properties": {"a": {"pattern": "(a+)+b"}}}
STRICT = {"name": "f", "strict": True}
STRICT_TOOLS: dict[str, tuple[list[Any], str]] = {
    "/v1/chat/completions": (
        [{"type": "function", "function": {**STRICT, "parameters": PATTERN}}],
        "tools[0].function.parameters",
    ),
    "/v1/responses": (
        [{"type": "function", **STRICT, "parameters": PATTERN}],
        "tools[0].parameters",
    ),
    "/v1/messages": ([{**STRICT, "input_schema": PATTERN}], "tools[0].input_schema"),
}

UNKNOWN_FIELDS = [
    "cache_salt", "request_id", "session_id", "priority", "kv_transfer_params", "vllm_xargs",
    "chat_template_kwargs", "mm_processor_kwargs", "structured_outputs", "watermarking",
    "stop_token_ids", "ignore_eos", "skip_special_tokens", "enable_response_messages",
    "previous_input_messages", "logit_bias", "add_generation_prompt", "continue_final_message",
    "container", "context_management", "mcp_servers", "n", "modalities", "",
]  # fmt: skip


@pytest.fixture
def gateway(refusing_gateway: Gateway) -> Gateway:
    return refusing_gateway


async def refused(
    gateway: Gateway, path: str, body: bytes, **headers: str
) -> tuple[int, dict[str, Any]]:
    """Status and error of an answer that must be a refusal in the shape of its wire."""
    sent = {"content-type": "application/json", **headers}
    async with gateway.http() as http:
        answer = await http.post(path, content=body, headers=sent)
    assert answer.headers["content-type"] == "application/json"
    assert answer.content.isascii()
    said = answer.json()
    error: dict[str, Any] = said["error"]
    if path.startswith("/v1/messages"):
        assert (set(said), set(error)) == ({"type", "error", "request_id"}, {"type", "message"})
    else:
        assert (set(said), set(error)) == ({"error"}, {"message", "type", "param", "code"})
    assert len(error["message"]) < 1000
    assert gateway.engine.requests == []
    return answer.status_code, error


@pytest.mark.parametrize(("change", "code", "param"), WRONG_RESPONSES.values(), ids=WRONG_RESPONSES)
async def test_a_wrong_field_of_a_response_is_named(
    gateway: Gateway, change: dict[str, Any], code: str, param: str | None
) -> None:
    body = json.dumps({**RESPONSE, **change}).encode()
    status, error = await refused(gateway, "/v1/responses", body)
    assert (status, error["code"]) == (400, code), error
    if param is not None:
        assert error["param"] == param, error


@pytest.mark.parametrize(("change", "named"), WRONG_MESSAGES.values(), ids=WRONG_MESSAGES)
async def test_a_wrong_field_of_a_message_is_named(
    gateway: Gateway, change: dict[str, Any], named: str
) -> None:
    body = json.dumps({**MESSAGE, **change}).encode()
    status, error = await refused(gateway, "/v1/messages", body)
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert error["message"].startswith(named), error


@pytest.mark.parametrize("path", STRICT_TOOLS)
async def test_what_a_strict_tool_makes_a_grammar_is_bounded(gateway: Gateway, path: str) -> None:
    tools, param = STRICT_TOOLS[path]
    body = {**ROUTES, "/v1/chat/completions": {"model": "base", "messages": [USER]}}[path]
    status, error = await refused(gateway, path, orjson.dumps({**body, "tools": tools}))
    assert status == 400
    assert error["message"].startswith(f"{param}: the JSON schema holds 'pattern'")


@pytest.mark.parametrize("field", UNKNOWN_FIELDS)
@pytest.mark.parametrize("path", [*ROUTES, *COUNTING])
async def test_an_unknown_field_is_refused_by_name(gateway: Gateway, path: str, field: str) -> None:
    body = {**ROUTES, **COUNTING}[path]
    status, error = await refused(gateway, path, orjson.dumps({**body, field: 1}))
    assert status == 400
    assert field in error["message"]


@pytest.mark.parametrize("path", [*ROUTES, *COUNTING])
@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
async def test_what_is_not_json_is_refused(gateway: Gateway, path: str, body: bytes) -> None:
    status, error = await refused(gateway, path, body)
    assert (status, error["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("path", [*ROUTES, *COUNTING])
@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"1"])
async def test_what_is_no_object_is_refused(gateway: Gateway, path: str, body: bytes) -> None:
    assert (await refused(gateway, path, body))[0] == 400


@pytest.mark.parametrize("path", [*ROUTES, *COUNTING])
async def test_another_media_type_is_refused(gateway: Gateway, path: str) -> None:
    headers = {"content-type": "text/plain"}
    assert (await refused(gateway, path, b"{}", **headers))[0] == 415


@pytest.mark.parametrize("path", [*ROUTES, *COUNTING])
@pytest.mark.parametrize("model", ["../rival/secret", "a\0b", "x" * 10_000, "😀"])
async def test_an_unknown_model_is_not_found(gateway: Gateway, path: str, model: str) -> None:
    body = {**ROUTES, **COUNTING}[path]
    status, error = await refused(gateway, path, orjson.dumps({**body, "model": model}))
    assert status == 404
    assert "does not exist" in error["message"]
