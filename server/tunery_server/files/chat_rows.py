"""One line of a chat dataset, as OpenAI's supervised format has it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Text(_Strict):
    type: Literal["text"]
    text: str


class _Function(_Strict):
    name: str = Field(min_length=1)
    arguments: str


class _ToolCall(_Strict):
    id: str
    type: Literal["function"]
    function: _Function


class _Prompt(_Strict):
    role: Literal["system", "developer", "user"]
    content: str | list[_Text]
    name: str | None = None


class _ToolResult(_Strict):
    role: Literal["tool"]
    content: str | list[_Text]
    tool_call_id: str


class _Assistant(_Strict):
    role: Literal["assistant"]
    content: str | list[_Text] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = Field(default=None, min_length=1)
    weight: Literal[0, 1] | None = None

    @property
    def trained(self) -> bool:
        """True when the loss falls on this turn."""
        return self.weight != 0 and bool(self.content or self.tool_calls)


_Message = Annotated[_Prompt | _ToolResult | _Assistant, Field(discriminator="role")]


class _Tool(_Strict):
    type: Literal["function"]
    function: dict[str, Any]


class ChatRow(_Strict):
    """A conversation with at least one assistant turn to learn from."""

    messages: list[_Message] = Field(min_length=1, max_length=10_000)
    tools: list[_Tool] | None = None
    parallel_tool_calls: bool | None = None

    @model_validator(mode="after")
    def _something_to_learn(self) -> "ChatRow":
        if not any(isinstance(m, _Assistant) and m.trained for m in self.messages):
            raise ValueError("no assistant message with content and a weight other than 0")
        return self
