"""From a chat's answer to a message of Anthropic's."""

from typing import Any

import pytest
from anthropic._models import validate_type
from anthropic.types import Message, RawMessageStreamEvent

from tunery_server.errors import EngineUnavailable
from tunery_server.gateway.dialects.chat_answer import Event
from tunery_server.gateway.dialects.messages_answer import MessageWriter

from .chunks import BEGUN, COUNTED, USAGE, answered, arguments, call, chunk, ended, said, whole
from .chunks import streamed as all_events


def streamed(*chunks: dict[str, Any]) -> list[Event]:
    """Events that are as Anthropic's types say."""
    events = all_events(MessageWriter(), *chunks)
    for event in events:
        validate_type(type_=RawMessageStreamEvent, value=event)
    return events


def calling(arguments: str) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    calls = [{"id": "call-0", "type": "function", "function": function}]
    return {"role": "assistant", "content": "", "tool_calls": calls}


def test_a_stream_of_words() -> None:
    begun = {"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}
    events = streamed({**BEGUN, "usage": begun}, said("Hi"), said(" you"), ended("stop"), COUNTED)
    assert [event["type"] for event in events] == [
        "message_start", "content_block_start", "content_block_delta", "content_block_delta",
        "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    message = events[0]["message"]
    assert message["id"] == "msg_ab12"
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (7, 0)
    assert events[-2]["usage"]["output_tokens"] == 3
    assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}


def test_a_stream_of_words_and_two_calls() -> None:
    events = streamed(
        BEGUN, said("Look: "), call(0, "f"), arguments(0, '{"a":'), arguments(0, "1}"),
        call(1, "g"), ended("tool_calls"), COUNTED,
    )  # fmt: skip
    started = [event for event in events if event["type"] == "content_block_start"]
    assert [event["index"] for event in started] == [0, 1, 2]
    assert [event["content_block"]["type"] for event in started] == ["text", "tool_use", "tool_use"]
    partial = [
        event["delta"]["partial_json"]
        for event in events
        if event.get("delta", {}).get("type") == "input_json_delta"
    ]
    assert "".join(partial) == '{"a":1}'
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_a_whole_answer() -> None:
    answer = answered(MessageWriter(), whole({"role": "assistant", "content": "Hi"}, "stop"))
    validate_type(type_=Message, value=answer)
    assert answer["content"] == [{"type": "text", "text": "Hi"}]
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("end_turn", None)
    usage = answer["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (7, 3)


def test_a_forced_call_ends_in_a_call_whatever_the_engine_says() -> None:
    answer = answered(MessageWriter(), whole(calling('{"a":1}'), "stop"))
    validate_type(type_=Message, value=answer)
    assert answer["content"] == [
        {"type": "tool_use", "id": "call-0", "name": "f", "input": {"a": 1}}
    ]
    assert answer["stop_reason"] == "tool_use"


@pytest.mark.parametrize("text", ['"Rome"', "[1]", "{", "null"])
def test_an_input_that_is_no_object_is_an_error(text: str) -> None:
    with pytest.raises(EngineUnavailable, match="no JSON object"):
        answered(MessageWriter(), whole(calling(text), "tool_calls"))
    with pytest.raises(EngineUnavailable, match="no JSON object"):
        streamed(BEGUN, call(0, "f"), arguments(0, text), ended("tool_calls"), COUNTED)


def test_a_call_that_was_cut_off_is_none_to_make() -> None:
    answer = answered(MessageWriter(), whole(calling('{"a"'), "length"))
    assert (answer["content"], answer["stop_reason"]) == ([], "max_tokens")
    events = streamed(BEGUN, call(0, "f"), arguments(0, '{"a"'), ended("length"), COUNTED)
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"


@pytest.mark.parametrize(
    ("stopped_at", "reason", "sequence"),
    [("###", "stop_sequence", "###"), (2, "end_turn", None), (None, "end_turn", None)],
)
def test_a_stop_sequence_is_told(stopped_at: str | int, reason: str, sequence: str) -> None:
    message = {"role": "assistant", "content": "Hi"}
    answer = answered(MessageWriter(), whole(message, "stop", stop_reason=stopped_at))
    assert (answer["stop_reason"], answer["stop_sequence"]) == (reason, sequence)


def test_saying_nothing_is_an_empty_text() -> None:
    assert [event["type"] for event in streamed(BEGUN, ended("stop"), COUNTED)] == [
        "message_start", "content_block_start", "content_block_stop", "message_delta",
        "message_stop",
    ]  # fmt: skip
    answer = answered(MessageWriter(), whole({"role": "assistant", "content": None}, "stop"))
    assert answer["content"] == [{"type": "text", "text": ""}]


def test_tokens_out_of_the_cache_are_counted_apart() -> None:
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 4}}
    last = streamed(BEGUN, said("Hi"), ended("stop"), chunk(usage=usage))[-2]
    assert last["usage"]["input_tokens"] == 3
    assert last["usage"]["cache_read_input_tokens"] == 4


def test_a_stream_without_an_end_is_an_error() -> None:
    with pytest.raises(EngineUnavailable):
        streamed(BEGUN, said("Hi"), COUNTED)
