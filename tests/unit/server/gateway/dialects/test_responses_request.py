"""From a response's request to a chat."""

from typing import Any

from tunery_server.gateway.dialects.responses_request import inference_of
from tunery_server.gateway.protocol.responses import ResponseRequest

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}


def chat(**fields: Any) -> dict[str, Any]:
    request = ResponseRequest.model_validate({"model": "m", "input": "hi", **fields})
    return inference_of(request).body


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


def test_a_text_is_a_users_turn() -> None:
    request = ResponseRequest.model_validate({"model": "m", "input": "hi", "stream": True})
    inference = inference_of(request)
    assert (inference.path, inference.model) == ("/v1/chat/completions", "m")
    assert inference.stream
    assert inference.body == {"messages": [{"role": "user", "content": "hi"}], "stream": True}


def test_instructions_come_first() -> None:
    messages = chat(instructions="Be brief.")["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]


def test_a_conversation_with_a_call() -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    items = [
        {"role": "developer", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "message", "role": "user", "content": "b"},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "c", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "d"},
            ],
        },
        {**call, "call_id": "1", "id": "fc_1", "status": "completed"},
        {**call, "call_id": "2"},
        {"type": "function_call_output", "call_id": "1", "output": "e"},
        {**call, "call_id": "3"},
    ]
    function = {"name": "f", "arguments": "{}"}
    calls = [{"id": str(n), "type": "function", "function": function} for n in (1, 2, 3)]
    assert chat(input=items)["messages"] == [
        {"role": "developer", "content": [text("a")]},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": [text("c"), text("d")], "tool_calls": calls[:2]},
        {"role": "tool", "tool_call_id": "1", "content": "e"},
        {"role": "assistant", "tool_calls": calls[2:]},
    ]


def test_tools() -> None:
    tool = {"type": "function", "name": "f", "parameters": PARAMETERS, "strict": True}
    body = chat(
        tools=[tool],
        tool_choice={"type": "function", "name": "f"},
        parallel_tool_calls=False,
    )
    function = {"name": "f", "parameters": PARAMETERS, "strict": True}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert body["parallel_tool_calls"] is False
    assert chat(tools=[tool], tool_choice="required")["tool_choice"] == "required"


def test_without_tools_there_is_nothing_to_choose() -> None:
    assert set(chat(tools=[], tool_choice="auto", parallel_tool_calls=True)) == {"messages"}


def test_the_form_of_the_answer() -> None:
    schema = {"type": "json_schema", "name": "s", "schema": PARAMETERS, "strict": True}
    assert chat(text={"format": schema})["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "s", "schema": PARAMETERS, "strict": True},
    }
    assert chat(text={"format": {"type": "json_object"}})["response_format"] == {
        "type": "json_object"
    }
    assert "response_format" not in chat(text={"verbosity": "medium"})


def test_sampling_is_forwarded_and_what_changes_nothing_is_not() -> None:
    sampling = {
        "temperature": 0.5, "top_p": 0.9, "top_k": 3, "min_p": 0.1, "repetition_penalty": 1.1,
    }  # fmt: skip
    ignored = {
        "store": True, "user": "u", "metadata": {"a": "b"}, "service_tier": "auto",
        "max_tool_calls": 3, "truncation": "disabled", "background": False, "prompt": None,
        "previous_response_id": None, "reasoning": {"effort": None, "summary": None},
        "stream": None, "prompt_cache_key": "k", "safety_identifier": "s", "include": [],
    }  # fmt: skip
    body = chat(**sampling, **ignored, max_output_tokens=9)
    del body["messages"]
    assert body == {**sampling, "max_completion_tokens": 9}


def test_log_probabilities() -> None:
    included = chat(include=["message.output_text.logprobs"])
    assert (included["logprobs"], included["top_logprobs"]) == (True, 0)
    assert chat(top_logprobs=2)["top_logprobs"] == 2
    assert "logprobs" not in chat(top_logprobs=0)
