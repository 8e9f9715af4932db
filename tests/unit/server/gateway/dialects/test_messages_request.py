"""From a message's request to a chat."""

from typing import Any

from tunery_server.gateway.dialects.messages_request import inference_of
from tunery_server.gateway.protocol.messages import MessageRequest

USER = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def chat(**fields: Any) -> dict[str, Any]:
    request = {"model": "m", "max_tokens": 9, "messages": [USER], **fields}
    return inference_of(MessageRequest.model_validate(request)).body


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


def test_a_users_turn() -> None:
    assert chat() == {"messages": [USER], "max_tokens": 9}


def test_the_system_prompt_comes_first() -> None:
    assert chat(system="s")["messages"] == [{"role": "system", "content": "s"}, USER]
    parts = [{**text("s"), "cache_control": {"type": "ephemeral"}}]
    assert chat(system=parts)["messages"][0]["content"] == [text("s")]


def test_instructions_may_come_later() -> None:
    later = {"role": "system", "content": [text("s")]}
    assert chat(messages=[USER, later, USER])["messages"] == [USER, later, USER]


def test_a_conversation_with_calls() -> None:
    use = {"type": "tool_use", "id": "1", "name": "f", "input": {"city": "Rome"}}
    messages = [
        USER,
        {"role": "assistant", "content": [text("Wait."), use, {**use, "id": "2"}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "a"},
                {"type": "tool_result", "tool_use_id": "2", "content": [text("b")]},
                text("and?"),
            ],
        },
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1"}]},
    ]
    function = {"name": "f", "arguments": '{"city":"Rome"}'}
    calls = [{"id": n, "type": "function", "function": function} for n in ("1", "2")]
    assert chat(messages=messages)["messages"] == [
        USER,
        {"role": "assistant", "content": [text("Wait.")], "tool_calls": calls},
        {"role": "tool", "tool_call_id": "1", "content": "a"},
        {"role": "tool", "tool_call_id": "2", "content": [text("b")]},
        {"role": "user", "content": [text("and?")]},
        {"role": "assistant", "tool_calls": calls[:1]},
        {"role": "tool", "tool_call_id": "1", "content": ""},
    ]


def test_a_last_turn_of_the_model_is_gone_on_from() -> None:
    body = chat(messages=[USER, {"role": "assistant", "content": "The"}])
    assert body["messages"][-1] == {"role": "assistant", "content": "The"}
    assert body["continue_final_message"] is True
    assert body["add_generation_prompt"] is False
    assert "continue_final_message" not in chat()


def test_tools() -> None:
    tool = {"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True}
    function = {"name": "f", "description": "d", "strict": True, "parameters": SCHEMA}
    assert chat(tools=[tool])["tools"] == [{"type": "function", "function": function}]
    for choice, expected in (
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
    ):
        body = chat(tools=[tool], tool_choice=choice)
        assert body["tool_choice"] == expected
        assert "parallel_tool_calls" not in body
    single = {"type": "auto", "disable_parallel_tool_use": True}
    assert chat(tools=[tool], tool_choice=single)["parallel_tool_calls"] is False


def test_sampling_is_forwarded_and_what_changes_nothing_is_not() -> None:
    sampling = {"temperature": 0.5, "top_p": 0.9, "top_k": 3}
    ignored = {
        "metadata": {"user_id": "u"}, "service_tier": "auto", "thinking": {"type": "disabled"},
        "cache_control": {"type": "ephemeral", "ttl": "5m"}, "stream": None,
    }  # fmt: skip
    body = chat(**sampling, **ignored, stop_sequences=["x"])
    assert body == {"messages": [USER], "max_tokens": 9, **sampling, "stop": ["x"]}


def test_the_form_of_the_answer() -> None:
    body = chat(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    json_schema = {"name": "answer", "schema": SCHEMA}
    assert body["response_format"] == {"type": "json_schema", "json_schema": json_schema}


def test_a_stream_is_asked_to_count_from_the_start() -> None:
    assert chat(stream=True)["stream_options"] == {"continuous_usage_stats": True}
