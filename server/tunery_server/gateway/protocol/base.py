"""What all wire types share."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

MAX_DEPTH = 32
"""Levels of objects and arrays in a JSON schema."""


class Request(BaseModel):
    """A checked request body: no coercion, no unknown field, no infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Answer(BaseModel):
    """A response body."""

    model_config = ConfigDict(frozen=True)


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    return text


PlainText = Annotated[
    str, AfterValidator(_no_nul), Field(json_schema_extra={"pattern": r"^[^\u0000]*$"})
]
"""Text that may become part of a record."""


_Key = Annotated[PlainText, StringConstraints(min_length=1, max_length=64)]
_Value = Annotated[PlainText, StringConstraints(max_length=512)]
Metadata = Annotated[dict[_Key, _Value], Field(max_length=16)]
"""What a client attaches to an object."""


def _shallow(value: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
    if level:
        raise ValueError(f"must not be nested deeper than {MAX_DEPTH} levels")
    return value


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


JsonObject = Annotated[dict[str, Any], AfterValidator(_shallow)]
"""Free-form JSON, shallow enough for every parser that it passes."""


class Deleted(Answer):
    """The answer to a DELETE."""

    id: str
    object: str
    deleted: Literal[True] = True
