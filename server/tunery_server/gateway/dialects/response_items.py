"""The items of a response while the model writes them."""

from collections.abc import Iterator
from typing import Any, Protocol

from tunery_server.gateway.dialects.chat_answer import Call, Text
from tunery_server.gateway.protocol.response_objects import (
    FunctionCall,
    ItemStatus,
    OutputItem,
    OutputMessage,
    OutputText,
)

Step = tuple[str, dict[str, Any]]
"""An event less its number: its type, and its fields."""


class OpenItem(Protocol):
    """An item that may still grow."""

    def opened(self) -> Iterator[Step]:
        """It appears."""

    def closed(self, status: ItemStatus) -> Iterator[Step]:
        """It is whole, or will never be."""

    def item(self, status: ItemStatus) -> OutputItem:
        """What there is of it."""


class OpenMessage:
    """A message with one part of text."""

    def __init__(self, id: str, output_index: int) -> None:
        self._id = id
        self._index = output_index
        self._texts: list[str] = []
        self._logprobs: list[dict[str, Any]] = []

    def opened(self) -> Iterator[Step]:
        empty = OutputMessage(id=self._id, status="in_progress", content=())
        yield "response.output_item.added", {"output_index": self._index, "item": dumped(empty)}
        yield "response.content_part.added", self._place() | {"part": dumped(self._part())}

    def grown(self, piece: Text) -> Iterator[Step]:
        """It gets longer by ``piece``."""
        self._texts.append(piece.text)
        self._logprobs += map(_logprob, piece.logprobs)
        fields = {"delta": piece.text, "logprobs": [_logprob(entry) for entry in piece.logprobs]}
        yield "response.output_text.delta", self._place() | fields

    def closed(self, status: ItemStatus) -> Iterator[Step]:
        part = self._part()
        fields = {"text": part.text, "logprobs": list(part.logprobs)}
        yield "response.output_text.done", self._place() | fields
        yield "response.content_part.done", self._place() | {"part": dumped(part)}
        yield from _done(self._index, self.item(status))

    def item(self, status: ItemStatus) -> OutputMessage:
        return OutputMessage(id=self._id, status=status, content=(self._part(),))

    def _part(self) -> OutputText:
        return OutputText(text="".join(self._texts), logprobs=tuple(self._logprobs))

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": self._index, "content_index": 0}


class OpenCall:
    """A call of a function."""

    def __init__(self, id: str, output_index: int, call: Call) -> None:
        self._id = id
        self._index = output_index
        self._call = call
        self._arguments: list[str] = []

    def opened(self) -> Iterator[Step]:
        item = dumped(self.item("in_progress"))
        yield "response.output_item.added", {"output_index": self._index, "item": item}

    def grown(self, arguments: str) -> Iterator[Step]:
        """Its arguments get longer."""
        self._arguments.append(arguments)
        yield "response.function_call_arguments.delta", self._place() | {"delta": arguments}

    def closed(self, status: ItemStatus) -> Iterator[Step]:
        item = self.item(status)
        fields = {"name": item.name, "arguments": item.arguments}
        yield "response.function_call_arguments.done", self._place() | fields
        yield from _done(self._index, item)

    def item(self, status: ItemStatus) -> FunctionCall:
        return FunctionCall(
            id=self._id,
            status=status,
            call_id=self._call.id,
            name=self._call.name,
            arguments="".join(self._arguments),
        )

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": self._index}


def dumped(answer: OutputItem | OutputText) -> dict[str, Any]:
    """As JSON takes it."""
    return answer.model_dump(mode="json")


def _done(output_index: int, item: OutputItem) -> Iterator[Step]:
    yield "response.output_item.done", {"output_index": output_index, "item": dumped(item)}


def _logprob(entry: dict[str, Any]) -> dict[str, Any]:
    """The engine's entry with what OpenAI's type wants filled."""
    top = [_token(other) for other in entry.get("top_logprobs") or ()]
    return _token(entry) | {"top_logprobs": top}


def _token(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "token": entry["token"],
        "bytes": entry.get("bytes") or [],
        "logprob": entry["logprob"],
    }
