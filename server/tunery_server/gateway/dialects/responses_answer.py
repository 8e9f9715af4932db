"""From the engine's chat answer to a response and the events of its stream."""

from collections.abc import Iterable, Iterator
from typing import Any

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
from tunery_server.gateway.dialects.response_items import OpenCall, OpenItem, OpenMessage, Step
from tunery_server.gateway.protocol.response_objects import (
    InputDetails,
    ItemStatus,
    OutputItem,
    ResponseObject,
    ResponseUsage,
)
from tunery_server.gateway.protocol.responses import ResponseRequest


class ResponseWriter:
    """Implements :class:`Writer`. Ids are the engine's, in OpenAI's form."""

    def __init__(self, request: ResponseRequest) -> None:
        self._request = request
        self._response: ResponseObject | None = None
        self._output: list[OutputItem] = []
        self._open: OpenItem | None = None
        self._ended: Ended | None = None
        self._usage: ResponseUsage | None = None
        self.sequence_number = 0
        """Of the next event."""

    def feed(self, answer: dict[str, Any]) -> list[Event]:
        if self._response is not None:
            return self._numbered(self._all_written(answer))
        self._response = ResponseObject.begun(
            self._request,
            id=f"resp_{_stem(answer)}",
            created_at=answer["created"],
            model=answer["model"],
        )
        begun = [_state("created", self._response), _state("in_progress", self._response)]
        return self._numbered([*begun, *self._all_written(answer)])

    def end(self) -> list[Event]:
        if self._response is None or self._ended is None:
            raise EngineUnavailable("The engine could not finish the answer.", code="engine_error")
        closing = [*self._closed(), *self._something_said()]
        self._response = self._response.ended(
            incomplete=self._ended.cut, output=tuple(self._output), usage=self._usage
        )
        return self._numbered([*closing, _state(self._response.status, self._response)])

    def whole(self) -> bytes:
        assert self._response is not None  # noqa: S101 - it has ended
        return self._response.model_dump_json(by_alias=True).encode()

    def _all_written(self, answer: dict[str, Any]) -> Iterator[Step]:
        for piece in pieces(answer):
            yield from self._written(piece)

    def _written(self, piece: Piece) -> Iterator[Step]:
        match piece:
            case Text():
                yield from self._text(piece)
            case Call():
                yield from self._opened(OpenCall(self._new_id("fc"), self._next_index, piece))
            case Arguments() if isinstance(self._open, OpenCall):
                yield from self._open.grown(piece.text)
            case Ended():
                self._ended = piece
            case Counted():
                self._usage = _usage(piece)

    def _text(self, piece: Text) -> Iterator[Step]:
        if not isinstance(self._open, OpenMessage):
            if not piece.text:
                return
            yield from self._opened(OpenMessage(self._new_id("msg"), self._next_index))
        if isinstance(self._open, OpenMessage):
            yield from self._open.grown(piece)

    def _opened(self, item: OpenItem) -> Iterator[Step]:
        yield from self._closed()
        self._open = item
        yield from item.opened()

    def _closed(self) -> Iterator[Step]:
        if self._open is None:
            return
        cut = self._ended is not None and self._ended.cut
        status: ItemStatus = "incomplete" if cut else "completed"
        yield from self._open.closed(status)
        self._output.append(self._open.item(status))
        self._open = None

    def _something_said(self) -> Iterator[Step]:
        """A model that said nothing said an empty message."""
        if not self._output:
            yield from self._opened(OpenMessage(self._new_id("msg"), 0))
            yield from self._closed()

    def _numbered(self, steps: Iterable[Step]) -> list[Event]:
        events = []
        for kind, fields in steps:
            events.append({"type": kind, "sequence_number": self.sequence_number, **fields})
            self.sequence_number += 1
        return events

    @property
    def _next_index(self) -> int:
        return len(self._output) + (self._open is not None)

    def _new_id(self, prefix: str) -> str:
        assert self._response is not None  # noqa: S101 - every answer begins with it
        return f"{prefix}_{self._response.id.removeprefix('resp_')}_{self._next_index}"


def _state(kind: str, response: ResponseObject) -> Step:
    return f"response.{kind}", {"response": response.model_dump(mode="json", by_alias=True)}


def _stem(answer: dict[str, Any]) -> str:
    return str(answer["id"]).rpartition("-")[2]


def _usage(counted: Counted) -> ResponseUsage:
    return ResponseUsage(
        input_tokens=counted.prompt,
        input_tokens_details=InputDetails(cached_tokens=counted.cached),
        output_tokens=counted.completion,
        total_tokens=counted.prompt + counted.completion,
    )
