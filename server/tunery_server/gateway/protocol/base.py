"""What all wire types share."""

from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, Protocol, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tunery_server.records.rows import Page
from tunery_server.strict_json import is_deeper

T = TypeVar("T")
S = TypeVar("S")

MAX_DEPTH = 32
"""Levels of objects and arrays in a JSON schema."""

_MAX_FIELDS = 64
"""Of one object: more than any has, and few enough to name each that is unknown."""

_MAX_METADATA = 16


class Request(BaseModel):
    """A checked request body: no coercion, no unknown field, no infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > _MAX_FIELDS:
            raise ValueError(f"must not have more than {_MAX_FIELDS} fields")
        return value


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


def _no_larger(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > _MAX_METADATA:
        raise PydanticCustomError("too_long", f"must not have more than {_MAX_METADATA} keys")
    return value


_Key = Annotated[PlainText, StringConstraints(min_length=1, max_length=64)]
_Value = Annotated[PlainText, StringConstraints(max_length=512)]
Metadata = Annotated[
    dict[_Key, _Value],
    BeforeValidator(_no_larger),
    Field(json_schema_extra={"maxProperties": _MAX_METADATA}),
]
"""A client's own notes on an object."""


def _not_offered(value: Any) -> None:
    if value is not None:
        raise PydanticCustomError("unsupported_parameter", "this server does not offer it")


NotOffered = Annotated[None, BeforeValidator(_not_offered)]
"""A field of OpenAI's that asks for what is not here. Only null, which asks for nothing, passes."""


def only(*offered: str) -> BeforeValidator:
    """Refuses the values of OpenAI's that would change the answer and cannot be honoured."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and value not in offered:
            names = ", ".join(map(repr, offered))
            raise PydanticCustomError("unsupported_value", f"this server offers {names} alone")
        return value

    return BeforeValidator(check)


def _shallow(value: dict[str, Any]) -> dict[str, Any]:
    if is_deeper(value, MAX_DEPTH):
        raise ValueError(f"must not be nested deeper than {MAX_DEPTH} levels")
    return value


JsonObject = Annotated[dict[str, Any], AfterValidator(_shallow)]
"""Free-form JSON, shallow enough for every parser that it passes."""


class Deleted(Answer):
    """The answer to a DELETE; each kind of object has its own, with ``object``."""

    id: str
    deleted: Literal[True] = True


class _Stored(Protocol):
    @property
    def id(self) -> str:
        """The id on the wire, too."""


R = TypeVar("R", bound=_Stored)


class Listed(Answer, Generic[T]):
    """A page of a list."""

    object: Literal["list"] = "list"
    data: tuple[T, ...]
    has_more: bool

    @classmethod
    def of(cls, page: Page[S], build: Callable[[S], T]) -> Self:
        """From a page of records, each made into what a client gets by ``build``."""
        return cls(data=tuple(map(build, page.items)), has_more=page.has_more)


class ListedBetween(Answer, Generic[T]):
    """A page of a list that names its two ends."""

    object: Literal["list"] = "list"
    data: tuple[T, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def of(cls, page: Page[R], build: Callable[[R], T]) -> Self:
        """From a page of records, each made into what a client gets by ``build``."""
        return cls(
            data=tuple(map(build, page.items)),
            first_id=page.items[0].id if page.items else None,
            last_id=page.items[-1].id if page.items else None,
            has_more=page.has_more,
        )


def seconds(time: float | None) -> int | None:
    """A point in time as the wire has it: whole Unix seconds."""
    return None if time is None else int(time)
