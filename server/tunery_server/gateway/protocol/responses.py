"""``POST /v1/responses``: what a client sends."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from tunery_server.gateway.protocol.base import JsonObject, NotOffered, Request, only
from tunery_server.gateway.protocol.chat import Arguments
from tunery_server.gateway.protocol.json_schema import check_grammar
from tunery_server.gateway.protocol.sampling import MAX_TOP_LOGPROBS, Ignored

_MAX_TOKENS = 2**31 - 1
_Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
_Id = Annotated[str, StringConstraints(min_length=1, max_length=256)]
_Status = Literal["in_progress", "completed", "incomplete"]


def _not_offered(reason: str) -> BeforeValidator:
    def refuse(value: object) -> None:
        if value not in (None, False):
            raise PydanticCustomError("unsupported_parameter", reason)

    return BeforeValidator(refuse)


_NOTHING_STORED = _not_offered("no response is stored here; send its items in 'input'")


class InputTextPart(Request):
    """What a user, a developer or a tool says."""

    type: Literal["input_text"]
    text: str


class OutputTextPart(Request):
    """What the model said, as an earlier answer had it. Only the text is read."""

    type: Literal["output_text"]
    text: str
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    logprobs: list[JsonObject] | None = None


class RefusalPart(Request):
    """What the model refused to do."""

    type: Literal["refusal"]
    refusal: str


def _text_only(part: Any) -> Any:
    if isinstance(part, dict) and part.get("type", "input_text") != "input_text":
        raise PydanticCustomError("unsupported_content", "this server reads input_text alone")
    return part


_InputPart = Annotated[InputTextPart, BeforeValidator(_text_only)]
_Input = Annotated[list[_InputPart], Field(min_length=1, max_length=256, fail_fast=True)]
_OutputPart = Annotated[OutputTextPart | RefusalPart, Field(discriminator="type")]
_Output = Annotated[list[_OutputPart], Field(min_length=1, max_length=256, fail_fast=True)]


class PromptItem(Request):
    """Instructions or a user's turn."""

    type: Literal["message"] | None = None
    role: Literal["system", "developer", "user"]
    content: str | _Input
    id: _Id | None = None
    status: _Status | None = None


class AssistantItem(Request):
    """A turn of the model."""

    type: Literal["message"] | None = None
    role: Literal["assistant"]
    content: str | _Output
    id: _Id | None = None
    status: _Status | None = None


class CallItem(Request):
    """A call that the model made: ``arguments`` is JSON in a string."""

    type: Literal["function_call"]
    call_id: _Id
    name: _Name
    arguments: Arguments
    id: _Id | None = None
    status: _Status | None = None


class CallOutputItem(Request):
    """The result of a call."""

    type: Literal["function_call_output"]
    call_id: _Id
    output: str | _Input
    id: _Id | None = None
    status: _Status | None = None


def _kind(item: Any) -> str:
    """An item without a type is a message, and the model's messages have parts of their own."""
    if not isinstance(item, dict):
        return "prompt"
    kind = item.get("type") or "message"
    if kind == "message":
        return "assistant" if item.get("role") == "assistant" else "prompt"
    return str(kind)


Item = Annotated[
    Annotated[PromptItem, Tag("prompt")]
    | Annotated[AssistantItem, Tag("assistant")]
    | Annotated[CallItem, Tag("function_call")]
    | Annotated[CallOutputItem, Tag("function_call_output")],
    Discriminator(
        _kind,
        custom_error_type="unsupported_content",
        custom_error_message="only messages, function calls and their outputs are read",
    ),
]


class FunctionTool(Request):
    """Functions are the only tools; ``parameters`` is a JSON schema."""

    type: Literal["function"]
    name: _Name
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


def _functions_only(tool: Any) -> Any:
    if isinstance(tool, dict) and tool.get("type", "function") != "function":
        raise PydanticCustomError("unsupported_value", "functions are the only tools here")
    return tool


_Tool = Annotated[FunctionTool, BeforeValidator(_functions_only)]


class NamedFunctionTool(Request):
    """Asks for a call of one tool."""

    type: Literal["function"]
    name: _Name


class PlainTextFormat(Request):
    """Free text, or any JSON object."""

    type: Literal["text", "json_object"]


class SchemaTextFormat(Request):
    """JSON that satisfies a schema."""

    type: Literal["json_schema"]
    name: _Name
    schema_: JsonObject = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class TextSettings(Request):
    """The form of the answer."""

    format: Annotated[PlainTextFormat | SchemaTextFormat, Field(discriminator="type")] | None = None
    verbosity: Annotated[Literal["medium"], only("medium")] | None = None


class NoReasoning(Request):
    """The defaults of OpenAI's reasoning settings, which ask for nothing."""

    effort: Annotated[Literal["none"], only("none")] | None = None
    summary: NotOffered = None


class ResponseStreamOptions(Request):
    """Obfuscation, which changes nothing here."""

    include_obfuscation: bool | None = None


class ResponseInput(Request):
    """What the engine reads: the conversation and the tools in it."""

    model: str = Field(min_length=1)
    input: str | Annotated[list[Item], Field(min_length=1, max_length=4096, fail_fast=True)]
    instructions: str | None = None
    tools: Annotated[list[_Tool], Field(max_length=128, fail_fast=True)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedFunctionTool | None = None
    parallel_tool_calls: bool | None = None
    text: TextSettings | None = None
    reasoning: NoReasoning | None = None
    truncation: Annotated[Literal["disabled"], only("disabled")] | None = None
    conversation: Annotated[None, _NOTHING_STORED] = None
    previous_response_id: Annotated[None, _NOTHING_STORED] = None

    @model_validator(mode="after")
    def _tools_to_choose_from(self) -> "ResponseInput":
        if self.tool_choice not in (None, "none", "auto") and not self.tools:
            raise ValueError("tool_choice needs tools")
        return self

    @model_validator(mode="after")
    def _bounded_grammars(self) -> "ResponseInput":
        if self.text is not None and isinstance(self.text.format, SchemaTextFormat):
            check_grammar(self.text.format.schema_, param="text.format")
        forced = self.tool_choice not in (None, "none", "auto")
        for number, tool in enumerate(self.tools or []):
            if forced or tool.strict:
                check_grammar(tool.parameters or {}, param=f"tools[{number}].parameters")
        return self


_Include = Annotated[Literal["message.output_text.logprobs"], only("message.output_text.logprobs")]


class ResponseRequest(ResponseInput, Ignored):
    """A response. ``top_k``, ``min_p`` and ``repetition_penalty`` are the engine's own."""

    max_output_tokens: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    max_tool_calls: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, le=2**20)
    min_p: float | None = Field(default=None, ge=0, le=1)
    repetition_penalty: float | None = Field(default=None, ge=0.1, le=10)
    top_logprobs: int | None = Field(default=None, ge=0, le=MAX_TOP_LOGPROBS)
    include: Annotated[list[_Include], Field(max_length=1)] | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    background: Annotated[None, _not_offered("no response is stored; wait for it")] = None
    context_management: NotOffered = None
    moderation: NotOffered = None
    prompt: Annotated[None, _not_offered("no prompt is stored here")] = None

    @model_validator(mode="after")
    def _options_of_a_stream(self) -> "ResponseRequest":
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream to be true")
        return self
