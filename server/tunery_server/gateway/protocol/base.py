"""What all wire types share."""

from typing import Annotated, Any, Literal

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

from tunery_server.strict_json import is_deeper

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
