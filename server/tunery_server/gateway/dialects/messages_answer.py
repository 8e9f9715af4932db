"""From the engine's chat answer to a message of Anthropic's and the events of its stream."""

from collections.abc import Iterator
from typing import Any

import orjson

from tunery_server.errors import EngineUnavailable
from tunery_server.gateway.dialects.chat_answer import (
    Arguments,
    Call,
    Counted,
    Ended,
    Event,
    Piece,
    Text,
    pieces,
)
from tunery_server.gateway.protocol.message_objects import (
    Block,
    MessageObject,
    MessageUsage,
    SaidText,
    SaidToolUse,
    StopReason,
)


class MessageWriter:
    """Implements :class:`Writer`. The id is the engine's, in Anthropic's form."""

    def __init__(self) -> None:
        self._message: MessageObject | None = None
        self._content: list[Block] = []
        self._open: Text | Call | None = None
        self._characters: list[str] = []
        """Of the open block: its text, or its arguments."""
        self._ended: Ended | None = None
        self._index = 0

    def feed(self, answer: dict[str, Any]) -> list[Event]:
        said = list(pieces(answer))
        counts = [piece for piece in said if isinstance(piece, Counted)]
        usage = _usage(counts[-1]) if counts else None
        begun: list[Event] = []
        if self._message is None:
            self._message = MessageObject(
                id=f"msg_{str(answer['id']).rpartition('-')[2]}",
                model=answer["model"],
                usage=usage or _usage(Counted(0, 0, 0)),
            )
            begun = [{"type": "message_start", "message": self._message.model_dump(mode="json")}]
        elif usage is not None:
            self._message = self._message.model_copy(update={"usage": usage})
        return begun + [event for piece in said for event in self._written(piece)]

    def end(self) -> list[Event]:
        if self._message is None or self._ended is None:
            raise EngineUnavailable("The engine could not finish the answer.", code="engine_error")
        events = [*self._closed(), *self._something_said()]
        reason, sequence = self._stop()
        self._message = self._message.model_copy(
            update={
                "content": tuple(self._content),
                "stop_reason": reason,
                "stop_sequence": sequence,
            }
        )
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        usage = self._message.usage.model_dump(mode="json")
        return [
            *events,
            {"type": "message_delta", "delta": delta, "usage": usage},
            {"type": "message_stop"},
        ]

    def whole(self) -> bytes:
        assert self._message is not None  # noqa: S101 - it has ended
        return self._message.model_dump_json().encode()

    def _written(self, piece: Piece) -> Iterator[Event]:
        match piece:
            case Text() if piece.text:
                if not isinstance(self._open, Text):
                    yield from self._opened(piece)
                yield self._grown({"type": "text_delta", "text": piece.text}, piece.text)
            case Call():
                yield from self._opened(piece)
            case Arguments() if isinstance(self._open, Call):
                yield self._grown(
                    {"type": "input_json_delta", "partial_json": piece.text}, piece.text
                )
            case Ended():
                self._ended = piece

    def _opened(self, piece: Text | Call) -> Iterator[Event]:
        yield from self._closed()
        self._open, self._characters = piece, []
        block: Block = SaidText(text="")
        if isinstance(piece, Call):
            block = SaidToolUse(id=piece.id, name=piece.name, input={})
        yield {
            "type": "content_block_start",
            "index": self._index,
            "content_block": block.model_dump(mode="json"),
        }

    def _grown(self, delta: dict[str, str], characters: str) -> Event:
        self._characters.append(characters)
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _closed(self) -> Iterator[Event]:
        if self._open is None:
            return
        if isinstance(self._open, Text):
            self._content.append(SaidText(text="".join(self._characters)))
        elif self._ended is None or not self._ended.cut:
            # A call that was cut off is in the stream, as far as it came, but is none to make.
            self._content.append(_tool_use(self._open, "".join(self._characters)))
        self._open = None
        yield {"type": "content_block_stop", "index": self._index}
        self._index += 1

    def _something_said(self) -> Iterator[Event]:
        """A model that said nothing said an empty text."""
        if self._index == 0:
            yield from self._opened(Text(""))
            yield from self._closed()

    def _stop(self) -> tuple[StopReason, str | None]:
        ended = self._ended
        if ended is not None and ended.cut:
            return "max_tokens", None
        if any(isinstance(block, SaidToolUse) for block in self._content):
            return "tool_use", None
        if ended is not None and ended.stop_sequence is not None:
            return "stop_sequence", ended.stop_sequence
        return "end_turn", None


def _tool_use(call: Call, arguments: str) -> SaidToolUse:
    """Raises EngineUnavailable for arguments that are no JSON object: the wire has no others."""
    try:
        value = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise EngineUnavailable(
            "The model called a tool with an input that is no JSON object.", code="engine_error"
        )
    return SaidToolUse(id=call.id, name=call.name, input=value)


def _usage(counted: Counted) -> MessageUsage:
    return MessageUsage(
        input_tokens=counted.prompt - counted.cached,
        cache_read_input_tokens=counted.cached,
        output_tokens=counted.completion,
    )
