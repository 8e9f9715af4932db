"""The messages and tools of training rows, as OpenAI has them, and what their rows share."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tunery_server.errors import RequestError
from tunery_server.strict_json import is_deeper, parse

_MAX_DEPTH = 32


def _shallow(value: Any) -> Any:
    if is_deeper(value, _MAX_DEPTH):
        raise ValueError(f"must not be nested deeper than {_MAX_DEPTH} levels")
    return value


def _json_object(arguments: str) -> str:
    """Chat templates get them parsed, so that here, too, they have to be what they should be."""
    try:
        value = parse(arguments.encode()) if arguments else {}
    except RequestError as error:
        raise ValueError(error.message) from None
    if not isinstance(_shallow(value), dict):
        raise ValueError("must be a JSON object in a string")
    return arguments


_Object = Annotated[dict[str, Any], AfterValidator(_shallow)]
_Arguments = Annotated[str, AfterValidator(_json_object)]


class Row(BaseModel):
    """JSON without coercion and without unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Text(Row):
    type: Literal["text"]
    text: str


class _Function(Row):
    name: str = Field(min_length=1)
    arguments: _Arguments


class _ToolCall(Row):
    id: str
    type: Literal["function"]
    function: _Function


_Content = str | Annotated[list[_Text], Field(min_length=1, fail_fast=True)]


class _Prompt(Row):
    role: Literal["system", "developer", "user"]
    content: _Content
    name: str | None = None


class _ToolResult(Row):
    role: Literal["tool"]
    content: _Content
    tool_call_id: str


class Assistant(Row):
    """What the model says."""

    role: Literal["assistant"]
    content: _Content | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: Annotated[list[_ToolCall], Field(min_length=1, fail_fast=True)] | None = None
    weight: Annotated[int, Field(ge=0, le=1)] | None = None

    @property
    def trained(self) -> bool:
        """True when the loss falls on this turn."""
        return self.weight != 0 and bool(self.content or self.tool_calls)


Message = Annotated[_Prompt | _ToolResult | Assistant, Field(discriminator="role")]


class _Described(Row):
    name: str = Field(min_length=1)
    description: str | None = None
    parameters: _Object | None = None
    strict: bool | None = None


class Tool(Row):
    """A function that the model may call."""

    type: Literal["function"]
    function: _Described


def check_system_messages(messages: Sequence[Message]) -> None:
    """Raises ValueError when there is more than one."""
    if sum(message.role == "system" for message in messages) > 1:
        raise ValueError("more than one system message")
