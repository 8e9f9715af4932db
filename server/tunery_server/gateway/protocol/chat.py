"""``POST /v1/chat/completions``."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tunery_server.gateway.protocol.base import Answer, JsonObject, Request
from tunery_server.gateway.protocol.sampling import MAX_TOP_LOGPROBS, Ignored, Sampling

_NAME = r"^[a-zA-Z0-9_.-]{1,64}$"
_MAX_TOKENS = 2**31 - 1


class TextPart(Request):
    """The only kind of content part that a text model reads."""

    type: Literal["text"]
    text: str


Content = str | Annotated[list[TextPart], Field(min_length=1, max_length=256)]


class PromptMessage(Request):
    """Instructions or a user's turn."""

    role: Literal["system", "developer", "user"]
    content: Content
    name: str | None = Field(default=None, pattern=_NAME)


class ToolMessage(Request):
    """The result of a tool call."""

    role: Literal["tool"]
    content: Content
    tool_call_id: str = Field(max_length=256)


class CalledFunction(Request):
    """A call that the model made: ``arguments`` is JSON in a string."""

    name: str = Field(pattern=_NAME)
    arguments: str


class ToolCall(Request):
    """One call of an assistant turn."""

    id: str = Field(max_length=256)
    type: Literal["function"]
    function: CalledFunction


class AssistantMessage(Request):
    """A turn of the model."""

    role: Literal["assistant"]
    content: Content | None = None
    name: str | None = Field(default=None, pattern=_NAME)
    refusal: str | None = None
    annotations: list[Any] | None = Field(default=None, max_length=0)
    audio: None = None
    function_call: None = None
    tool_calls: list[ToolCall] | None = Field(default=None, min_length=1, max_length=128)

    @model_validator(mode="after")
    def _says_something(self) -> "AssistantMessage":
        if self.content is None and self.tool_calls is None and self.refusal is None:
            raise ValueError("an assistant message needs content or tool_calls")
        return self


Message = Annotated[PromptMessage | ToolMessage | AssistantMessage, Field(discriminator="role")]


class FunctionDefinition(Request):
    """A function that the model may call; ``parameters`` is a JSON schema."""

    name: str = Field(pattern=_NAME)
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class Tool(Request):
    """Functions are the only tools."""

    type: Literal["function"]
    function: FunctionDefinition


class NamedFunction(Request):
    """A function by name."""

    name: str = Field(pattern=_NAME)


class NamedTool(Request):
    """Asks for a call of one tool."""

    type: Literal["function"]
    function: NamedFunction


class JsonSchema(Request):
    """A schema that the answer has to satisfy."""

    name: str = Field(pattern=_NAME)
    description: str | None = None
    schema_: JsonObject = Field(alias="schema")
    strict: bool | None = None


class PlainFormat(Request):
    """Free text, or any JSON object."""

    type: Literal["text", "json_object"]


class SchemaFormat(Request):
    """JSON that satisfies a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


class ChatRequest(Sampling, Ignored):
    """A chat completion."""

    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1, max_length=4096)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=MAX_TOP_LOGPROBS)
    max_tokens: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    tools: list[Tool] | None = Field(default=None, min_length=1, max_length=128)
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: Annotated[PlainFormat | SchemaFormat, Field(discriminator="type")] | None = (
        None
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "ChatRequest":
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("give max_tokens or max_completion_tokens, not both")
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs to be true")
        if self.tool_choice not in (None, "none") and not self.tools:
            raise ValueError("tool_choice needs tools")
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream to be true")
        return self


class NoChats(Answer):
    """A page of the chat completions that are stored: there is none."""

    object: Literal["list"] = "list"
    data: tuple[()] = ()
    first_id: None = None
    last_id: None = None
    has_more: Literal[False] = False
