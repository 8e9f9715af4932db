"""The engine's chat answer, whole or a chunk of a stream, as pieces in the order of speech."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from tunery_server.errors import EngineUnavailable

Event = dict[str, Any]
"""One event of a dialect's stream; ``type`` names it."""


@dataclass(frozen=True, slots=True)
class Text:
    """Words of the model, and its tokens' log probabilities if they were asked for."""

    text: str
    logprobs: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """The model begins to call a function."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """The next characters of the begun call's arguments."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The model stopped; ``cut`` by a limit on tokens, or at a stop sequence."""

    cut: bool
    stop_sequence: str | None


@dataclass(frozen=True, slots=True)
class Counted:
    """Tokens so far."""

    prompt: int
    completion: int
    cached: int


Piece = Text | Call | Arguments | Ended | Counted


class Writer(Protocol):
    """Writes one answer in a dialect. A stream and a whole answer take the same way."""

    def feed(self, answer: dict[str, Any]) -> list[Event]:
        """The events that follow from a whole answer or the next chunk."""

    def end(self) -> list[Event]:
        """The last events. Raises EngineUnavailable unless the model has stopped."""

    def whole(self) -> bytes:
        """The answer as one JSON object, once it has ended."""


def pieces(answer: dict[str, Any]) -> Iterator[Piece]:
    """What one whole answer or chunk of the first choice says. Raises EngineUnavailable."""
    for choice in answer["choices"]:
        said = choice["delta"] if "delta" in choice else choice["message"]
        logprobs = tuple((choice.get("logprobs") or {}).get("content") or ())
        if said.get("content") or logprobs:
            yield Text(said.get("content") or "", logprobs)
        for call in said.get("tool_calls") or ():
            yield from _call(call)
        if choice.get("finish_reason") is not None:
            yield _ended(choice)
    if usage := answer.get("usage"):
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        yield Counted(usage["prompt_tokens"], usage.get("completion_tokens") or 0, cached)


def answer_of(writer: Writer, answer: bytes) -> bytes:
    """A whole chat answer in the writer's dialect. Raises EngineUnavailable."""
    with _readable():
        writer.feed(orjson.loads(answer))
        writer.end()
    return writer.whole()


def events_of(writer: Writer, events: bytes) -> bytes:
    """Whole events of a chat's stream in the writer's dialect. Raises EngineUnavailable."""
    written: list[Event] = []
    with _readable():
        for event in events.split(b"\n\n"):
            data = event.removeprefix(b"data: ")
            if data == b"[DONE]":
                written += writer.end()
            elif data:
                written += writer.feed(orjson.loads(data))
    return b"".join(map(sent, written))


def sent(event: Event) -> bytes:
    """An event as both dialects send it: its type as the event's name, too."""
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), orjson.dumps(event))


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (orjson.JSONDecodeError, LookupError, TypeError) as error:
        raise EngineUnavailable(
            "The engine's answer cannot be read.", code="engine_error"
        ) from error


def _call(call: dict[str, Any]) -> Iterator[Call | Arguments]:
    function = call.get("function") or {}
    if call.get("id") and function.get("name"):
        yield Call(call["id"], function["name"])
    if function.get("arguments"):
        yield Arguments(function["arguments"])


def _ended(choice: dict[str, Any]) -> Ended:
    if choice["finish_reason"] not in ("stop", "tool_calls", "length"):
        raise EngineUnavailable("The engine could not finish the answer.", code="engine_error")
    stopped_at = choice.get("stop_reason")
    return Ended(
        cut=choice["finish_reason"] == "length",
        stop_sequence=stopped_at if isinstance(stopped_at, str) else None,
    )
