"""The engine's chat answers, in vLLM's words."""

from typing import Any

import orjson

from tunery_server.gateway.dialects.chat_answer import Event, Writer, answer_of

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def chunk(*, usage: dict[str, Any] | None = None, **choice: Any) -> dict[str, Any]:
    """One chunk of a stream; without a choice, the one that only counts."""
    choices = [{"index": 0, "logprobs": None, "finish_reason": None, **choice}] if choice else []
    counted = {} if usage is None else {"usage": usage}
    head = {"id": "chatcmpl-ab12", "object": "chat.completion.chunk", "created": 5, "model": "m"}
    return {**head, "choices": choices, **counted}


def said(text: str, **choice: Any) -> dict[str, Any]:
    return chunk(delta={"content": text}, **choice)


def call(index: int, name: str) -> dict[str, Any]:
    begun = {"id": f"call-{index}", "type": "function", "index": index, "function": {"name": name}}
    return chunk(delta={"content": None, "tool_calls": [begun]})


def arguments(index: int, text: str) -> dict[str, Any]:
    return chunk(delta={"tool_calls": [{"index": index, "function": {"arguments": text}}]})


def ended(reason: str, stop_reason: str | int | None = None) -> dict[str, Any]:
    return chunk(delta={}, finish_reason=reason, stop_reason=stop_reason)


BEGUN = chunk(delta={"role": "assistant", "content": ""})
COUNTED = chunk(usage=USAGE)


def whole(message: dict[str, Any], reason: str, **choice: Any) -> bytes:
    """An answer in one piece."""
    answer = chunk(message=message, finish_reason=reason, usage=USAGE, **choice)
    return orjson.dumps({**answer, "object": "chat.completion"})


def streamed(writer: Writer, *chunks: dict[str, Any]) -> list[Event]:
    """All events that a writer makes of a stream."""
    return [event for chunk in chunks for event in writer.feed(chunk)] + writer.end()


def answered(writer: Writer, answer: bytes) -> Any:
    """What a writer makes of a whole answer."""
    return orjson.loads(answer_of(writer, answer))
