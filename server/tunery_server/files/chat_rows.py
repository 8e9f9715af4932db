"""One line of a chat dataset, as OpenAI's supervised format has it."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Text(_Strict):
    type: Literal["text"]
    text: str


class _Function(_Strict):
    name: str = Field(min_length=1)
    arguments: _Arguments


class _ToolCall(_Strict):
    id: str
    type: Literal["function"]
    function: _Function


_Content = str | Annotated[list[_Text], Field(min_length=1, fail_fast=True)]


class _Prompt(_Strict):
    role: Literal["system", "developer", "user"]
    content: _Content
    name: str | None = None


class _ToolResult(_Strict):
    role: Literal["tool"]
    content: _Content
    tool_call_id: str


class _Assistant(_Strict):
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


_Message = Annotated[_Prompt | _ToolResult | _Assistant, Field(discriminator="role")]


class _Described(_Strict):
    name: str = Field(min_length=1)
    description: str | None = None
    parameters: _Object | None = None
    strict: bool | None = None


class _Tool(_Strict):
    type: Literal["function"]
    function: _Described


class ChatRow(_Strict):
    """A conversation with at least one assistant turn to learn from."""

    messages: list[_Message] = Field(min_length=1, max_length=10_000, fail_fast=True)
    tools: Annotated[list[_Tool], Field(fail_fast=True)] | None = None
    parallel_tool_calls: bool | None = None

    @model_validator(mode="after")
    def _something_to_learn(self) -> "ChatRow":
        if not any(isinstance(m, _Assistant) and m.trained for m in self.messages):
            raise ValueError("no assistant message with content and a weight other than 0")
        return self

    @model_validator(mode="after")
    def _one_system_message(self) -> "ChatRow":
        if sum(message.role == "system" for message in self.messages) > 1:
            raise ValueError("more than one system message")
        return self
