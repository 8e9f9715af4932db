"""From a chat's answer to a response."""

from typing import Any

import pytest
from openai._models import validate_type
from openai.types.responses import Response, ResponseStreamEvent

from tunery_server.errors import EngineUnavailable
from tunery_server.gateway.dialects.chat_answer import Event, answer_of, events_of
from tunery_server.gateway.dialects.responses_answer import ResponseWriter
from tunery_server.gateway.protocol.responses import ResponseRequest

from .chunks import (
    BEGUN,
    COUNTED,
    answered,
    arguments,
    call,
    chunk,
    ended,
    said,
    streamed,
    whole,
)

CALLS: list[Any] = [
    {"id": f"call-{n}", "type": "function", "function": {"name": name, "arguments": "{}"}}
    for n, name in enumerate(("f", "g"))
]


def writer(**fields: Any) -> ResponseWriter:
    return ResponseWriter(ResponseRequest.model_validate({"model": "m", "input": "x", **fields}))


def checked(events: list[Event]) -> list[Event]:
    """Events that are numbered in order and as OpenAI's types say."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        validate_type(type_=ResponseStreamEvent, value=event)
    return events


def kinds(events: list[Event]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_a_stream_of_words() -> None:
    events = checked(streamed(writer(), BEGUN, said("Hi"), said(" you"), ended("stop"), COUNTED))
    assert kinds(events) == [
        "created", "in_progress", "output_item.added", "content_part.added",
        "output_text.delta", "output_text.delta", "output_text.done", "content_part.done",
        "output_item.done", "completed",
    ]  # fmt: skip
    response = events[-1]["response"]
    assert response["id"] == events[0]["response"]["id"] == "resp_ab12"
    assert (response["status"], response["created_at"]) == ("completed", 5)
    assert response["output"] == [events[-2]["item"]]
    assert response["output"][0]["content"][0]["text"] == "Hi you"
    usage = response["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (7, 3, 10)


def test_a_stream_of_words_and_two_calls() -> None:
    events = checked(
        streamed(
            writer(), BEGUN, said("Look: "), call(0, "f"), arguments(0, "{"), arguments(0, "}"),
            call(1, "g"), arguments(1, "{}"), ended("tool_calls"), COUNTED,
        )
    )  # fmt: skip
    assert kinds(events)[8:] == [
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done",
        "output_item.done", "completed",
    ]  # fmt: skip
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "function_call"]
    assert [item.get("call_id") for item in output] == [None, "call-0", "call-1"]
    assert len({item["id"] for item in output}) == 3
    added = [event for event in events if event["type"] == "response.output_item.added"]
    assert [event["output_index"] for event in added] == [0, 1, 2]


def test_a_whole_answer_is_what_a_stream_ends_with() -> None:
    text = "Look: "
    events = streamed(
        writer(), BEGUN, said(text), call(0, "f"), arguments(0, "{}"), call(1, "g"),
        arguments(1, "{}"), ended("tool_calls"), COUNTED,
    )  # fmt: skip
    message = {"role": "assistant", "content": text, "tool_calls": CALLS}
    answer = answered(writer(), whole(message, "tool_calls"))
    assert answer == events[-1]["response"]
    validate_type(type_=Response, value=answer)


def test_what_was_cut_off_is_incomplete() -> None:
    events = checked(streamed(writer(), BEGUN, said("Hi"), ended("length"), COUNTED))
    assert kinds(events)[-1] == "incomplete"
    response = events[-1]["response"]
    assert response["status"] == response["output"][0]["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}


def test_saying_nothing_is_an_empty_message() -> None:
    events = checked(streamed(writer(), BEGUN, ended("stop"), COUNTED))
    [message] = events[-1]["response"]["output"]
    assert message["content"][0]["text"] == ""


def test_log_probabilities_go_with_the_words() -> None:
    top = {"token": "Hi", "logprob": -0.5, "bytes": None}
    token = {**top, "top_logprobs": [top]}
    events = checked(streamed(writer(), said("Hi", logprobs={"content": [token]}), ended("stop")))
    delta = next(event for event in events if event["type"] == "response.output_text.delta")
    filled = {"token": "Hi", "logprob": -0.5, "bytes": []}
    assert delta["logprobs"] == [{**filled, "top_logprobs": [filled]}]
    [message] = events[-1]["response"]["output"]
    assert message["content"][0]["logprobs"] == delta["logprobs"]


def test_log_probabilities_of_a_call_open_no_message() -> None:
    token = {"token": "{", "logprob": -0.5, "bytes": [123]}
    message = {"role": "assistant", "content": "", "tool_calls": CALLS[:1]}
    answer = answered(writer(), whole(message, "tool_calls", logprobs={"content": [token]}))
    assert [item["type"] for item in answer["output"]] == ["function_call"]


def test_a_response_repeats_what_was_asked_for() -> None:
    tool = {"type": "function", "name": "f", "parameters": {}, "strict": True}
    schema = {"type": "json_schema", "name": "s", "schema": {"type": "object"}}
    asked: dict[str, Any] = {
        "instructions": "i", "max_output_tokens": 9, "max_tool_calls": 2, "metadata": {"a": "b"},
        "parallel_tool_calls": False, "temperature": 0.5, "top_p": 0.9, "top_logprobs": 1,
        "tool_choice": {"type": "function", "name": "f"}, "user": "u", "prompt_cache_key": "k",
        "safety_identifier": "s",
    }  # fmt: skip
    answer = answered(
        writer(**asked, tools=[tool], text={"format": schema}, store=True),
        whole({"role": "assistant", "content": "Hi"}, "stop"),
    )
    validate_type(type_=Response, value=answer)
    assert asked.items() <= answer.items()
    assert answer["tools"][0].items() >= tool.items()
    assert answer["text"]["format"].items() >= schema.items()
    assert answer["store"] is False


def test_the_defaults_of_a_response() -> None:
    answer = answered(writer(), whole({"role": "assistant", "content": "Hi"}, "stop"))
    assert answer["metadata"] == {}
    assert (answer["tool_choice"], answer["tools"]) == ("auto", [])
    assert answer["parallel_tool_calls"] is True
    assert (answer["temperature"], answer["top_p"]) == (None, None)
    assert answer["text"] == {"format": {"type": "text"}, "verbosity": "medium"}


@pytest.mark.parametrize("reason", ["abort", "error", "repetition"])
def test_an_end_that_is_none_is_an_error(reason: str) -> None:
    with pytest.raises(EngineUnavailable):
        answered(writer(), whole({"role": "assistant", "content": "Hi"}, reason))


def test_a_stream_without_an_end_is_an_error() -> None:
    with pytest.raises(EngineUnavailable):
        streamed(writer(), BEGUN, said("Hi"), COUNTED)


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"choices": [{}]}', b"{"])
def test_an_answer_that_cannot_be_read_is_an_error(answer: bytes) -> None:
    with pytest.raises(EngineUnavailable, match="cannot be read"):
        answer_of(writer(), answer)
    if answer:
        with pytest.raises(EngineUnavailable, match="cannot be read"):
            events_of(writer(), b"data: " + answer + b"\n\n")


def test_only_the_first_chunk_begins_a_response() -> None:
    target = writer()
    assert kinds(target.feed(BEGUN)) == ["created", "in_progress"]
    assert target.feed(chunk(delta={"content": ""})) == []
