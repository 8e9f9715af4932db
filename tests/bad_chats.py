"""Bad bodies of chat and text completions, and what each is answered: all of them by a refusal."""

import json
from dataclasses import dataclass
from typing import Any

import orjson

CHAT = {"model": "base", "messages": [{"role": "user", "content": "hi"}]}
TEXT = {"model": "base", "prompt": "hi"}
FUNCTION = {"type": "function", "function": {"name": "f"}}


def said(*messages: object) -> dict[str, Any]:
    return {"messages": list(messages)}


def user(content: object) -> dict[str, Any]:
    return said({"role": "user", "content": content})


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"properties": value}
    return value


def schema(value: object) -> dict[str, Any]:
    json_schema = {"name": "s", "schema": value}
    return {"response_format": {"type": "json_schema", "json_schema": json_schema}}


@dataclass(frozen=True)
class Bad:
    """A body and its refusal. ``param`` is None where nothing is said of it."""

    body: bytes
    code: str
    param: str | None = None
    status: int = 400
    path: str = "/v1/chat/completions"


def chat(**change: Any) -> bytes:
    return json.dumps({**CHAT, **change}).encode()


def text(**change: Any) -> bytes:
    return json.dumps({**TEXT, **change}).encode()


def forced(parameters: object) -> dict[str, Any]:
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    return {"tools": [tool], "tool_choice": "required"}


def a_call(arguments: str) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    call = {"id": "1", "type": "function", "function": function}
    return said({"role": "assistant", "tool_calls": [call]})


WRONG_FIELDS: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "no-model": ({"model": None}, "invalid_type", "model"),
    "empty-model": ({"model": ""}, "string_below_min_length", "model"),
    "model-number": ({"model": 5}, "invalid_type", "model"),
    "n-true": ({"n": True}, "invalid_type", "n"),
    "n-text": ({"n": "3"}, "invalid_type", "n"),
    "n-float": ({"n": 3.0}, "invalid_type", "n"),
    "n-zero": ({"n": 0}, "integer_below_min_value", "n"),
    "n-nine": ({"n": 9}, "integer_above_max_value", "n"),
    "n-huge": ({"n": 2**63}, "integer_above_max_value", "n"),
    "max_tokens-zero": ({"max_tokens": 0}, "integer_below_min_value", "max_tokens"),
    "max_tokens-negative": ({"max_tokens": -5}, "integer_below_min_value", "max_tokens"),
    "max_tokens-huge": ({"max_tokens": 10**12}, "integer_above_max_value", "max_tokens"),
    "max_completion": (
        {"max_completion_tokens": 0},
        "integer_below_min_value",
        "max_completion_tokens",
    ),
    "both-max": ({"max_tokens": 1, "max_completion_tokens": 1}, "invalid_value", "max_tokens"),
    "temperature-high": ({"temperature": 2.1}, "decimal_above_max_value", "temperature"),
    "temperature-low": ({"temperature": -0.1}, "decimal_below_min_value", "temperature"),
    "temperature-text": ({"temperature": "1"}, "invalid_type", "temperature"),
    "top_p-high": ({"top_p": 1.5}, "decimal_above_max_value", "top_p"),
    "top_p-zero": ({"top_p": 0}, "decimal_below_min_value", "top_p"),
    "min_p": ({"min_p": 1.5}, "decimal_above_max_value", "min_p"),
    "top_k": ({"top_k": -2}, "integer_below_min_value", "top_k"),
    "penalty": ({"frequency_penalty": 2.5}, "decimal_above_max_value", "frequency_penalty"),
    "seed": ({"seed": 2**63}, "integer_above_max_value", "seed"),
    "seed-float": ({"seed": 1.5}, "invalid_type", "seed"),
    "bias-word": ({"logit_bias": {"abc": 1}}, "invalid_value", "logit_bias"),
    "bias-negative-id": ({"logit_bias": {"-1": 1}}, "invalid_value", "logit_bias"),
    "bias-huge-id": ({"logit_bias": {"9" * 9: 1}}, "invalid_value", "logit_bias"),
    "bias-value": ({"logit_bias": {"5": 1000}}, "invalid_value", "logit_bias"),
    "bias-list": ({"logit_bias": []}, "invalid_type", "logit_bias"),
    "bias-many": (
        {"logit_bias": {str(i): 1 for i in range(301)}},
        "invalid_value",
        "logit_bias",
    ),
    "top_logprobs-high": (
        {"logprobs": True, "top_logprobs": 21},
        "integer_above_max_value",
        "top_logprobs",
    ),
    "top_logprobs-low": (
        {"logprobs": True, "top_logprobs": -1},
        "integer_below_min_value",
        "top_logprobs",
    ),
    "top_logprobs-text": (
        {"logprobs": True, "top_logprobs": "5"},
        "invalid_type",
        "top_logprobs",
    ),
    "top_logprobs-alone": ({"top_logprobs": 5}, "invalid_value", "top_logprobs"),
    "logprobs-number": ({"logprobs": 5}, "invalid_type", "logprobs"),
    "stop-empty": ({"stop": ""}, "string_below_min_length", "stop"),
    "stop-long": ({"stop": "x" * 257}, "string_above_max_length", "stop"),
    "stop-five": ({"stop": ["a"] * 5}, "array_above_max_length", "stop"),
    "stop-one-empty": ({"stop": ["a", ""]}, "string_below_min_length", "stop[1]"),
    "stop-number": ({"stop": 5}, "invalid_type", "stop"),
    "stream-text": ({"stream": "true"}, "invalid_type", "stream"),
    "stream-options-alone": (
        {"stream_options": {"include_usage": True}},
        "invalid_value",
        "stream_options",
    ),
    "stream-options": (
        {"stream": True, "stream_options": {"continuous_usage_stats": True}},
        "unknown_parameter",
        "stream_options.continuous_usage_stats",
    ),
    "user-nul": ({"user": "a\0b"}, "invalid_value", "user"),
    "user-long": ({"user": "x" * 513}, "string_above_max_length", "user"),
    "metadata-many": (
        {"metadata": {str(i): "" for i in range(17)}},
        "array_above_max_length",
        "metadata",
    ),
    "messages-empty": (said(), "empty_array", "messages"),
    "messages-text": ({"messages": "hi"}, "invalid_type", "messages"),
    "messages-null": ({"messages": None}, "invalid_type", "messages"),
    "message-null": (said(None), "invalid_type", "messages[0]"),
    "message-no-role": (said({"content": "x"}), "missing_required_parameter", "messages[0]"),
    "message-role": (said({"role": "wizard", "content": "x"}), "invalid_value", "messages[0]"),
    "message-extra": (
        said({"role": "user", "content": "x", "cache": 1}),
        "unknown_parameter",
        "messages[0].cache",
    ),
    "message-name": (
        said({"role": "user", "content": "x", "name": "a b"}),
        "invalid_value",
        "messages[0].name",
    ),
    "content-missing": (
        said({"role": "user"}),
        "missing_required_parameter",
        "messages[0].content",
    ),
    "content-null": (user(None), "invalid_type", "messages[0].content"),
    "content-number": (user(5), "invalid_type", "messages[0].content"),
    "content-object": (user({}), "invalid_type", "messages[0].content"),
    "content-empty-list": (user([]), "empty_array", "messages[0].content"),
    "assistant-silent": (said({"role": "assistant"}), "invalid_value", "messages[0]"),
    "assistant-calls-empty": (
        said({"role": "assistant", "tool_calls": []}),
        "empty_array",
        "messages[0].tool_calls",
    ),
    "tool-without-id": (
        said({"role": "tool", "content": "x"}),
        "missing_required_parameter",
        "messages[0].tool_call_id",
    ),
    "tools-empty": ({"tools": []}, "empty_array", "tools"),
    "tool-name": (
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        "invalid_value",
        "tools[0].function.name",
    ),
    "tool-type": ({"tools": [{"type": "python"}]}, "missing_required_parameter", None),
    "tool-deep": (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": nested(40)}}]},
        "invalid_value",
        "tools[0].function.parameters",
    ),
    "tool-choice-alone": ({"tool_choice": "auto"}, "invalid_value", "tool_choice"),
    "tool-choice-unknown": ({"tools": [FUNCTION], "tool_choice": "maybe"}, "invalid_value", None),
    "format-unknown": ({"response_format": {"type": "xml"}}, "invalid_value", "response_format"),
    "schema-missing": (
        {"response_format": {"type": "json_schema"}},
        "missing_required_parameter",
        "response_format.json_schema",
    ),
    "schema-text": (schema("x"), "invalid_type", "response_format.json_schema.schema"),
    "schema-deep": (
        schema(nested(300)),
        "invalid_value",
        "response_format.json_schema.schema",
    ),
}

UNKNOWN_FIELDS = [
    "min_tokens", "allowed_token_ids", "bad_words", "prompt_logprobs", "logprob_token_ids",
    "prompt_embeds", "cache_salt", "priority", "request_id", "session_id", "kv_transfer_params",
    "vllm_xargs", "mm_processor_kwargs", "media_io_kwargs", "chat_template",
    "chat_template_kwargs", "documents", "structured_outputs", "guided_json", "guided_regex",
    "structural_tag", "thinking_token_budget", "return_token_ids", "add_generation_prompt",
    "continue_final_message", "ignore_eos", "skip_special_tokens", "stop_token_ids",
    "use_beam_search", "truncate_prompt_tokens", "best_off", "",
]  # fmt: skip

PARTS = [
    {"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}},
    {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
    {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
    {"type": "file", "file": {"file_id": "x"}},
    {"type": "image_url", "image_url": {"url": "http://[::ffff:127.0.0.1]/"}},
    {"type": "image_url", "image_url": {"url": "http://0x7f.1/"}},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 2**20}},
    {"type": "video_url", "video_url": {"url": "http://127.0.0.1:6379/"}},
    {"type": "exe", "url": "x"},
]

WRONG_PROMPTS: dict[str, tuple[Any, str]] = {
    "null": (None, "invalid_type"),
    "empty": ([], "empty_array"),
    "many": (["a"] * 10_000, "array_above_max_length"),
    "negative": ([-1], "invalid_value"),
    "huge": ([2**31], "invalid_value"),
    "mixed": ([[1], "a"], "invalid_type"),
    "empty-tokens": ([[]], "empty_array"),
}

WRONG_TEXTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "best_of": ({"best_of": 2}, "integer_above_max_value", "best_of"),
    "logprobs-six": ({"logprobs": 6}, "integer_above_max_value", "logprobs"),
    "logprobs-true": ({"logprobs": True}, "invalid_type", "logprobs"),
    "messages": ({"messages": []}, "unknown_parameter", "messages"),
    "prompt-embeds": ({"prompt_embeds": "gAJ9"}, "unknown_parameter", "prompt_embeds"),
    "model-empty": ({"model": ""}, "string_below_min_length", "model"),
    "stream-options": (
        {"stream_options": {"include_usage": True}},
        "invalid_value",
        "stream_options",
    ),
}

NOT_JSON = {
    "empty": b"",
    "cut": b'{"model":"m"',
    "trailing": orjson.dumps(CHAT) + b"xx",
    "nan": orjson.dumps(CHAT)[:-1] + b',"n":NaN}',
    "infinity": orjson.dumps(CHAT)[:-1] + b',"temperature":Infinity}',
    "overflow": orjson.dumps(CHAT)[:-1] + b',"n":1e400}',
    "surrogate": orjson.dumps(CHAT)[:-1] + b',"n":"\\ud800"}',
    "surrogate-key": b'{"\\ud800":1}',
    "latin-1": '{"model": "é"}'.encode("latin-1"),
    "utf-16": '{"model": "m"}'.encode("utf-16"),
    "deep": b"[" * 100_000,
    "single-quotes": b"{'model': 'm'}",
    "comment": b'{"model": "m"} // x',
}
