"""More bad bodies, in the same classes and in some of their own; and odd ones that are none."""

import json

from tests.bad_chats import (
    CHAT,
    FUNCTION,
    NOT_JSON,
    PARTS,
    UNKNOWN_FIELDS,
    WRONG_FIELDS,
    WRONG_PROMPTS,
    WRONG_TEXTS,
    Bad,
    a_call,
    chat,
    forced,
    nested,
    said,
    schema,
    text,
    user,
)

GRAMMARS: dict[str, object] = {
    "pattern": {"type": "string", "pattern": "(a+)+b"},
    "pattern-inside": {"type": "object", "properties": {"a": {"pattern": "[\\s\\S]{0,5000}"}}},
    "pattern-in-defs": {"$defs": {"a": {"items": [{"not": {"pattern": "x"}}]}}},
    "pattern-properties": {"type": "object", "patternProperties": {"(a+)+b": {}}},
    "property-names": {"type": "object", "propertyNames": {"maxLength": 3}},
    "ref-to-itself": {"$ref": "#"},
    "ref-loop": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#"}}},
    "ref-loop-by-anyOf": {"$defs": {"a": {"anyOf": [{}, {"$ref": "#/$defs/a"}]}}},
    "ref-loop-by-allOf": {"allOf": [{"oneOf": [{"$ref": "#"}]}]},
    "ref-http": {"$ref": "http://127.0.0.1:1/x"},
    "ref-file": {"$ref": "file:///etc/passwd"},
    "ref-into-data": {"$ref": "#/examples/0", "examples": [{"pattern": "x"}]},
    "ref-missing": {"$ref": "#/$defs/none"},
    "ref-number": {"$ref": 5},
    "ref-list": {"$ref": ["#"]},
    "dynamic-ref": {"$dynamicRef": "#a"},
    "id": {"$id": "http://127.0.0.1:1/x"},
    "many-items": {"type": "array", "minItems": 10**9},
    "many-items-together": {"prefixItems": [{"maxItems": 400}] * 30},
    "many-properties": {"properties": {f"p{number}": {} for number in range(401)}},
    "large": {"const": "x" * 40_000},
    "deep": nested(33),
}
"""Schemas that the engine would take long over, or not take at all."""

HOSTILE: dict[str, Bad] = {
    "many-fields": Bad(chat(**{f"f{number}": 1 for number in range(5000)}), "invalid_value"),
    "field-of-10-kB": Bad(chat(**{"x" * 10_000: 1}), "unknown_parameter"),
    "field-of-emoji": Bad(chat(**{"😀" * 1000: 1}), "unknown_parameter"),
    "field-with-path": Bad(chat(**{"../../etc/passwd": 1}), "unknown_parameter"),
    "field-proto": Bad(chat(__proto__={"a": 1}), "unknown_parameter", "__proto__"),
    "field-self": Bad(chat(self=1), "unknown_parameter", "self"),
    "field-init": Bad(chat(__init__=1, __class__=2), "unknown_parameter"),
    "field-model-fields": Bad(chat(model_fields={}), "unknown_parameter", "model_fields"),
    "field-case": Bad(chat(Temperature=1), "unknown_parameter", "Temperature"),
    "model-list": Bad(chat(model=["base"]), "invalid_type", "model"),
    "model-object": Bad(chat(model={"id": "base"}), "invalid_type", "model"),
    "messages-object": Bad(chat(messages={}), "invalid_type", "messages"),
    "messages-of-lists": Bad(chat(messages=[[]] * 4000), "invalid_type", "messages[0]"),
    "messages-of-numbers": Bad(chat(messages=[1.5] * 4000), "invalid_type", "messages[0]"),
    "messages-nested": Bad(chat(messages=[[{"role": "user"}]]), "invalid_type", "messages[0]"),
    "messages-many": Bad(
        chat(messages=[{"role": "user", "content": "a"}] * 5000),
        "request_too_large", "messages", 413,
    ),
    "messages-100000": Bad(
        chat(messages=[{"role": "user", "content": "a"}] * 100_000), "request_too_large", None, 413
    ),
    "body-10-MB": Bad(chat(**user("a" * 10 * 2**20)), "request_too_large", None, 413),
    "body-of-brackets": Bad(b'{"a": [' + b"[]," * 2**20 + b"1]}", "request_too_large", None, 413),
    "body-of-keys": Bad(
        b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}",
        "request_too_large", None, 413,
    ),
    "body-of-numbers": Bad(
        b'{"messages": [' + b"1," * 10**6 + b"1]}", "request_too_large", "messages", 413
    ),
    "message-many-fields": Bad(
        chat(messages=[{f"f{number}": 1 for number in range(3000)}]), "missing_required_parameter"
    ),
    "message-many-fields-with-role": Bad(
        chat(messages=[{"role": "user", **{f"f{number}": 1 for number in range(3000)}}]),
        "invalid_value", "messages[0]",
    ),
    "role-list": Bad(chat(**said({"role": ["user"], "content": ""})), "invalid_value"),
    "role-function": Bad(chat(**said({"role": "function", "content": ""})), "invalid_value"),
    "role-nul": Bad(chat(**said({"role": "user\0", "content": ""})), "invalid_value"),
    "content-true": Bad(chat(**user(True)), "invalid_type", "messages[0].content"),
    "content-of-lists": Bad(chat(**user([[]] * 256)), "invalid_type"),
    "content-257-parts": Bad(
        chat(**user([{"type": "text", "text": ""}] * 257)), "array_above_max_length"
    ),
    "content-10000-wrong-parts": Bad(chat(**user([1.5] * 10_000)), "invalid_type"),
    "part-without-type": Bad(chat(**user([{"text": "a"}])), "missing_required_parameter"),
    "part-text-number": Bad(chat(**user([{"type": "text", "text": 5}])), "invalid_type"),
    "part-type-list": Bad(chat(**user([{"type": ["text"], "text": ""}])), "invalid_value"),
    "assistant-function-call": Bad(
        chat(**said({"role": "assistant", "function_call": {"name": "f", "arguments": ""}})),
        "unsupported_parameter", "messages[0].function_call",
    ),
    "assistant-audio": Bad(
        chat(**said({"role": "assistant", "audio": {"id": "a"}})),
        "unsupported_parameter", "messages[0].audio",
    ),
    "arguments-object": Bad(
        chat(**said({"role": "assistant", "tool_calls": [{"id": "1", "type": "function",
             "function": {"name": "f", "arguments": {}}}]})),
        "invalid_type", "messages[0].tool_calls[0].function.arguments",
    ),
    "calls-129": Bad(
        chat(**said({"role": "assistant", "tool_calls": [{"id": "1", "type": "function",
             "function": {"name": "f", "arguments": "{}"}}] * 129})),
        "array_above_max_length", "messages[0].tool_calls",
    ),
    "tools-129": Bad(chat(tools=[FUNCTION] * 129), "array_above_max_length", "tools"),
    "tools-of-numbers": Bad(chat(tools=[1] * 128), "invalid_type", "tools[0]"),
    "tools-custom": Bad(
        chat(tools=[{"type": "custom", "custom": {"name": "f"}}]), "unknown_parameter"
    ),
    "tool-parameters-list": Bad(
        chat(tools=[{"type": "function", "function": {"name": "f", "parameters": []}}]),
        "invalid_type", "tools[0].function.parameters",
    ),
    "tool-choice-other": Bad(
        chat(tools=[FUNCTION], tool_choice={"type": "function", "function": {"name": "g"}}),
        "invalid_value", "tool_choice",
    ),
    "tool-choice-allowed-tools": Bad(
        chat(tools=[FUNCTION], tool_choice={"type": "allowed_tools", "allowed_tools": {}}),
        "unknown_parameter",
    ),
    "n-10^400": Bad(b'{"n":' + b"9" * 400 + b"}", "invalid_json"),
    "n-minus-zero": Bad(chat(n=-0.0), "invalid_type", "n"),
    "seed-2^64": Bad(chat(seed=2**64 - 1), "integer_above_max_value", "seed"),
    "seed-true": Bad(chat(seed=False), "invalid_type", "seed"),
    "temperature-true": Bad(chat(temperature=True), "invalid_type", "temperature"),
    "temperature-list": Bad(chat(temperature=[1]), "invalid_type", "temperature"),
    "temperature-int": Bad(chat(temperature=3), "decimal_above_max_value", "temperature"),
    "temperature-10^300": Bad(chat(temperature=1e300), "decimal_above_max_value", "temperature"),
    "repetition-tiny": Bad(
        chat(repetition_penalty=1e-300), "decimal_below_min_value", "repetition_penalty"
    ),
    "stop-nested": Bad(chat(stop=[["a"]]), "invalid_type"),
    "stop-object": Bad(chat(stop={"a": 1}), "invalid_type", "stop"),
    "stop-10^5": Bad(chat(stop=["a"] * 30_000), "array_above_max_length", "stop"),
    "stop-1-MB": Bad(chat(stop="a" * 2**20), "string_above_max_length", "stop"),
    "bias-10000": Bad(
        chat(logit_bias={str(number): 1 for number in range(10_000)}),
        "invalid_value", "logit_bias",
    ),
    "bias-text": Bad(chat(logit_bias={"5": "1"}), "invalid_type", "logit_bias.5"),
    "bias-true": Bad(chat(logit_bias={"5": True}), "invalid_type", "logit_bias.5"),
    "bias-other-digits": Bad(chat(logit_bias={"٣": 1}), "invalid_value", "logit_bias"),
    "bias-newline": Bad(chat(logit_bias={"5\n": 1}), "invalid_value", "logit_bias"),
    "metadata-nul-key": Bad(chat(metadata={"a\0": ""}), "invalid_value"),
    "metadata-nul-value": Bad(chat(metadata={"a": "\0"}), "invalid_value", "metadata.a"),
    "metadata-number": Bad(chat(metadata={"a": 1}), "invalid_type", "metadata.a"),
    "metadata-long": Bad(
        chat(metadata={"a": "x" * 513}), "string_above_max_length", "metadata.a"
    ),
    "metadata-10000": Bad(
        chat(metadata={str(number): 1 for number in range(10_000)}),
        "array_above_max_length", "metadata",
    ),
    "metadata-list": Bad(chat(metadata=[1]), "invalid_type", "metadata"),
    "user-object": Bad(chat(user={"id": 1}), "invalid_type", "user"),
    "store-text": Bad(chat(store="yes"), "invalid_type", "store"),
    "stream-options-list": Bad(chat(stream=True, stream_options=[]), "invalid_type"),
    "format-text": Bad(chat(response_format="json"), "invalid_type", "response_format"),
    "format-grammar": Bad(chat(response_format={"type": "grammar"}), "invalid_value"),
    "format-empty": Bad(chat(response_format={}), "missing_required_parameter"),
    "audio": Bad(chat(audio={"voice": "x"}), "unsupported_parameter", "audio"),
    "functions": Bad(chat(functions=[]), "unsupported_parameter", "functions"),
    "function_call": Bad(chat(function_call="auto"), "unsupported_parameter", "function_call"),
    "moderation": Bad(chat(moderation={"model": "x"}), "unsupported_parameter", "moderation"),
    "prediction": Bad(
        chat(prediction={"type": "content", "content": "x"}), "unsupported_parameter", "prediction"
    ),
    "web-search": Bad(
        chat(web_search_options={}), "unsupported_parameter", "web_search_options"
    ),
    "reasoning": Bad(chat(reasoning_effort="low"), "unsupported_parameter", "reasoning_effort"),
    "modality": Bad(chat(modalities=["audio"]), "unsupported_value", "modalities[0]"),
    "modalities": Bad(
        chat(modalities=["text", "audio"]), "array_above_max_length", "modalities"
    ),
    "verbosity": Bad(chat(verbosity="low"), "unsupported_value", "verbosity"),
    "prompt-mixed-long": Bad(
        text(prompt=["a", *[1.5] * 50_000]), "invalid_type", path="/v1/completions"
    ),
    "prompt-floats": Bad(
        text(prompt=[1.5] * 200_000), "invalid_type", path="/v1/completions"
    ),
    "prompt-object": Bad(text(prompt={"a": 1}), "invalid_type", "prompt", path="/v1/completions"),
    "prompt-missing": Bad(
        b'{"model": "base"}', "missing_required_parameter", "prompt", path="/v1/completions"
    ),
    "prompt-nested": Bad(text(prompt=[[[1]]]), "invalid_type", path="/v1/completions"),
    "prompt-bools": Bad(text(prompt=[True, False]), "invalid_type", path="/v1/completions"),
    "echo-logprobs": Bad(
        text(echo=True, logprobs=1), "invalid_value", "echo", path="/v1/completions"
    ),
    "suffix": Bad(text(suffix="x"), "unsupported_parameter", "suffix", path="/v1/completions"),
    "chat-on-completions": Bad(
        chat(), "unknown_parameter", "messages", path="/v1/completions"
    ),
}  # fmt: skip
BAD: dict[str, Bad] = {
    **{
        name: Bad(chat(**change), code, param)
        for name, (change, code, param) in WRONG_FIELDS.items()
    },
    **{f"unknown-{name}": Bad(chat(**{name: 1}), "unknown_parameter", name or None)
       for name in UNKNOWN_FIELDS},
    **{f"part-{number}-{part['type']}": Bad(
        chat(**user([part])),
        "unknown_parameter" if part["type"] == "exe" else "unsupported_content",
        "messages[0].content[0].url" if part["type"] == "exe" else "messages[0].content[0]",
    ) for number, part in enumerate(PARTS)},
    **{f"missing-{name}": Bad(
        json.dumps({key: value for key, value in CHAT.items() if key != name}).encode(),
        "missing_required_parameter", name,
    ) for name in CHAT},
    **{f"prompt-{name}": Bad(text(prompt=prompt), code, path="/v1/completions")
       for name, (prompt, code) in WRONG_PROMPTS.items()},
    **{f"text-{name}": Bad(text(**change), code, param, path="/v1/completions")
       for name, (change, code, param) in WRONG_TEXTS.items()},
    **{f"json-{name}": Bad(body, "invalid_json") for name, body in NOT_JSON.items()},
    **{f"body-{body.decode()}": Bad(body, "invalid_type")
       for body in (b"[]", b"null", b'"x"', b"1", b"true", b"1e5", b"[{}]")},
    **{f"grammar-{name}": Bad(chat(**schema(value)), "invalid_value")
       for name, value in GRAMMARS.items()},
    **{f"tool-grammar-{name}": Bad(chat(**forced(value)), "invalid_value")
       for name, value in GRAMMARS.items()},
    **HOSTILE,
}  # fmt: skip

SURVIVED: dict[str, bytes] = {
    "nul": chat(**user("a\0b")),
    "control": chat(**user("".join(map(chr, range(32))))),
    "categories": chat(**user("\u202e\u200b\ufeff\u0301\ue000\U0010ffff\ufffd")),
    "empty": chat(**user("")),
    "many-messages": chat(messages=[{"role": "user", "content": "a"}] * 4096),
    "many-parts": chat(**user([{"type": "text", "text": "a"}] * 256)),
    "one-MB": chat(**user("a " * 2**19)),
    "null-fields": chat(**dict.fromkeys(
        ["n", "temperature", "tools", "logit_bias", "stop", "audio", "functions", "modalities",
         "reasoning_effort", "web_search_options", "stream", "metadata", "response_format"]
    )),
    "ignored-fields": chat(
        store=True, user="ann", service_tier="priority", metadata={"a": "b"},
        prompt_cache_key="k", prompt_cache_retention="24h", safety_identifier="s",
        prompt_cache_options={"mode": "implicit", "ttl": "30m"}, verbosity="medium",
        modalities=["text"],
    ),
    "own-answer": chat(**said({
        "role": "assistant", "content": "Hi!", "refusal": None, "annotations": None,
        "audio": None, "function_call": None, "reasoning": None,
    })),
    "arguments-cut": chat(**a_call('{"a": ')),
    "arguments-deep": chat(**a_call('{"a":' * 5000 + "1" + "}" * 5000)),
    "arguments-surrogate": chat(**a_call('{"a": "\\ud800"}')),
    "arguments-digits": chat(**a_call('{"a": ' + "9" * 5000 + "}")),
    "pattern-as-a-name": chat(**schema({"properties": {"pattern": {"const": {"pattern": "x"}}}})),
    "recursive": chat(**schema({"properties": {"next": {"$ref": "#"}}})),
    "recursive-by-name": chat(**schema(
        {"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}
    )),
    "pattern-of-a-free-tool": chat(
        tools=[{"type": "function", "function": {"name": "f", "parameters": GRAMMARS["pattern"]}}]
    ),
}  # fmt: skip
"""Odd, and none of the server's business."""
