"""``POST /v1/chat/completions``."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from tunery_server.errors import InvalidRequest, RequestError, TooLarge
from tunery_server.gateway.protocol.base import Answer, JsonObject, NotOffered, Request, only
from tunery_server.gateway.protocol.json_schema import check_grammar
from tunery_server.gateway.protocol.sampling import MAX_TOP_LOGPROBS, Ignored, Sampling
from tunery_server.strict_json import is_deeper, parse

_NAME = r"^[a-zA-Z0-9_.-]{1,64}$"
_MAX_TOKENS = 2**31 - 1
_MAX_MESSAGES = 4096
_MAX_ARGUMENTS_DEPTH = 32
_OTHER_MEDIA = ("image", "audio", "video", "file", "input_", "refusal")
"""How the types of OpenAI's other content parts begin."""


def _text_only(part: Any) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind.startswith(_OTHER_MEDIA):
        raise PydanticCustomError("unsupported_content", "this server reads text alone")
    return part


class TextPart(Request):
    """The only kind of content part that a text model reads."""

    type: Literal["text"]
    text: str


_Part = Annotated[TextPart, BeforeValidator(_text_only)]
Content = str | Annotated[list[_Part], Field(min_length=1, max_length=256, fail_fast=True)]


def _object_or_none(arguments: str) -> str:
    """What a chat template gets to see: the engine takes what is no JSON object for no arguments.

    A model may have written anything, and the conversation has to go on.
    """
    try:
        value = parse(arguments.encode())
    except RequestError:
        return "{}"
    usable = isinstance(value, dict) and not is_deeper(value, _MAX_ARGUMENTS_DEPTH)
    return arguments if usable else "{}"


Arguments = Annotated[str, AfterValidator(_object_or_none)]
"""Of a call that the model made: JSON in a string, which a chat template gets parsed."""


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
    """A call that the model made."""

    name: str = Field(pattern=_NAME)
    arguments: Arguments


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
    audio: NotOffered = None
    function_call: NotOffered = None
    reasoning: NotOffered = None
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


_TextModality = Annotated[Literal["text"], only("text")]


def _few_messages(messages: Any) -> Any:
    if isinstance(messages, list) and len(messages) > _MAX_MESSAGES:
        message = f"messages: must not be more than {_MAX_MESSAGES}."
        raise TooLarge(message, param="messages")
    return messages


Messages = Annotated[
    list[Message],
    Field(min_length=1, json_schema_extra={"maxItems": _MAX_MESSAGES}, fail_fast=True),
    BeforeValidator(_few_messages),
]


class ChatRequest(Sampling, Ignored):
    """A chat completion."""

    model: str = Field(min_length=1)
    messages: Messages
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=MAX_TOP_LOGPROBS)
    max_tokens: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    tools: Annotated[list[Tool], Field(min_length=1, max_length=128, fail_fast=True)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: Annotated[PlainFormat | SchemaFormat, Field(discriminator="type")] | None = (
        None
    )
    modalities: Annotated[list[_TextModality], Field(min_length=1, max_length=1)] | None = None
    verbosity: Annotated[Literal["medium"], only("medium")] | None = None
    audio: NotOffered = None
    function_call: NotOffered = None
    functions: NotOffered = None
    moderation: NotOffered = None
    prediction: NotOffered = None
    reasoning_effort: NotOffered = None
    web_search_options: NotOffered = None

    @model_validator(mode="after")
    def _fits_together(self) -> "ChatRequest":
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise _unfit("max_tokens", "does not go with max_completion_tokens")
        if self.top_logprobs is not None and not self.logprobs:
            raise _unfit("top_logprobs", "needs logprobs to be true")
        if self.tool_choice not in (None, "none") and not self.tools:
            raise _unfit("tool_choice", "needs tools")
        if self.stream_options is not None and not self.stream:
            raise _unfit("stream_options", "needs stream to be true")
        return self

    @model_validator(mode="after")
    def _bounded_grammars(self) -> "ChatRequest":
        if isinstance(self.response_format, SchemaFormat):
            check_grammar(self.response_format.json_schema.schema_, param="response_format")
        for number, tool in self._constrained_tools():
            if tool.function.parameters is not None:
                param = f"tools[{number}].function.parameters"
                check_grammar(tool.function.parameters, param=param)
        return self

    def _constrained_tools(self) -> list[tuple[int, Tool]]:
        """Tools whose parameters become a grammar for the answer: forced ones, and strict ones."""
        tools = list(enumerate(self.tools or []))
        if self.tool_choice == "required":
            return tools
        strict = [(number, tool) for number, tool in tools if tool.function.strict]
        if not isinstance(self.tool_choice, NamedTool):
            return strict
        name = self.tool_choice.function.name
        named = [(number, tool) for number, tool in tools if tool.function.name == name]
        if not named:
            raise _unfit("tool_choice", "names a function that is not among the tools")
        return named + strict


def _unfit(param: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"{param}: {reason}.", param=param)


class NoChats(Answer):
    """A page of the chat completions that are stored: there is none."""

    object: Literal["list"] = "list"
    data: tuple[()] = ()
    first_id: None = None
    last_id: None = None
    has_more: Literal[False] = False
