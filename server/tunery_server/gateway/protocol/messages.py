"""``POST /v1/messages``, Anthropic's wire: what a client sends."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from tunery_server.gateway.protocol.base import JsonObject, NotOffered, PlainText, Request
from tunery_server.gateway.protocol.json_schema import check_grammar
from tunery_server.gateway.protocol.sampling import MAX_STOP_SEQUENCES, Stop

_Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
_Id = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class CacheControl(Request):
    """Changes nothing: the engine caches every prefix, apart for each tenant."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class _Block(Request):
    cache_control: CacheControl | None = None


class TextBlockInput(_Block):
    """The only kind of content that a text model reads."""

    type: Literal["text"]
    text: str
    citations: Annotated[list[Any], Field(max_length=0)] | None = None


_Texts = Annotated[list[TextBlockInput], Field(min_length=1, max_length=256, fail_fast=True)]


class ToolUseInput(_Block):
    """A call that the model made."""

    type: Literal["tool_use"]
    id: _Id
    name: _Name
    input: JsonObject


class ToolResultInput(_Block):
    """The result of a call. ``is_error`` changes nothing: the model reads the text."""

    type: Literal["tool_result"]
    tool_use_id: _Id
    content: str | _Texts | None = None
    is_error: bool | None = None


def _kind(block: Any) -> str | None:
    """No field has such a name, so that an error's path cannot mistake it for one."""
    return f"a {block.get('type')}" if isinstance(block, dict) else None


_Said = Annotated[
    Annotated[TextBlockInput, Tag("a text")] | Annotated[ToolResultInput, Tag("a tool_result")],
    Discriminator(
        _kind,
        custom_error_type="unsupported_content",
        custom_error_message="only a text or a tool_result is read",
    ),
]
_Answered = Annotated[
    Annotated[TextBlockInput, Tag("a text")] | Annotated[ToolUseInput, Tag("a tool_use")],
    Discriminator(
        _kind,
        custom_error_type="unsupported_content",
        custom_error_message="only a text or a tool_use is read",
    ),
]


class UserTurn(Request):
    """A user's turn, with the results of the calls that the model asked for."""

    role: Literal["user"]
    content: str | Annotated[list[_Said], Field(min_length=1, max_length=256, fail_fast=True)]


class AssistantTurn(Request):
    """A turn of the model. As the last message, the beginning of its answer."""

    role: Literal["assistant"]
    content: str | Annotated[list[_Answered], Field(min_length=1, max_length=256, fail_fast=True)]


class SystemTurn(Request):
    """Instructions that come during the conversation."""

    role: Literal["system"]
    content: str | _Texts


Turn = Annotated[UserTurn | AssistantTurn | SystemTurn, Field(discriminator="role")]


class CustomTool(_Block):
    """A function that the model may call; ``input_schema`` is a JSON schema."""

    type: Literal["custom"] | None = None
    name: _Name
    description: str | None = None
    input_schema: JsonObject
    strict: bool | None = None


def _custom_only(tool: Any) -> Any:
    if isinstance(tool, dict) and tool.get("type") not in (None, "custom"):
        raise PydanticCustomError("unsupported_value", "the client's own tools are the only ones")
    return tool


_Tool = Annotated[CustomTool, BeforeValidator(_custom_only)]


class ToolMode(Request):
    """Whether to call a tool."""

    type: Literal["auto", "any", "none"]
    disable_parallel_tool_use: bool | None = None


class ChosenTool(Request):
    """Asks for a call of one tool."""

    type: Literal["tool"]
    name: _Name
    disable_parallel_tool_use: bool | None = None


class OutputFormat(Request):
    """JSON that satisfies a schema."""

    type: Literal["json_schema"]
    schema_: JsonObject = Field(alias="schema")


class OutputConfig(Request):
    """The form of the answer."""

    format: OutputFormat | None = None


class NoThinking(Request):
    """The only setting for models that do not think apart from their answer."""

    type: Literal["disabled"]


class MessageMetadata(Request):
    """Leads the same user the same way where an alias is split."""

    user_id: PlainText | None = Field(default=None, max_length=512)


class MessageInput(Request):
    """What the engine reads: the conversation and the tools in it."""

    model: str = Field(min_length=1)
    messages: list[Turn] = Field(min_length=1, max_length=4096, fail_fast=True)
    system: str | _Texts | None = None
    tools: Annotated[list[_Tool], Field(max_length=128, fail_fast=True)] | None = None
    tool_choice: Annotated[ToolMode | ChosenTool, Field(discriminator="type")] | None = None
    output_config: OutputConfig | None = None
    thinking: NoThinking | None = None
    cache_control: CacheControl | None = None
    container: NotOffered = None
    context_management: NotOffered = None
    mcp_servers: NotOffered = None

    @model_validator(mode="after")
    def _fits_together(self) -> "MessageInput":
        last = self.messages[-1].content
        if not isinstance(last, str) and last[-1].type == "tool_use":
            raise ValueError("messages must not end with a tool_use: send its tool_result")
        if self._wants_a_call() and not self.tools:
            raise ValueError("tool_choice needs tools")
        return self

    @model_validator(mode="after")
    def _bounded_grammars(self) -> "MessageInput":
        if self.output_config is not None and self.output_config.format is not None:
            check_grammar(self.output_config.format.schema_, param="output_config.format")
        for number, tool in enumerate(self.tools or []):
            if self._wants_a_call() or tool.strict:
                check_grammar(tool.input_schema, param=f"tools[{number}].input_schema")
        return self

    def _wants_a_call(self) -> bool:
        return self.tool_choice is not None and self.tool_choice.type in ("any", "tool")


class MessageRequest(MessageInput):
    """A message."""

    max_tokens: int = Field(ge=1, le=2**31 - 1)
    stop_sequences: Annotated[list[Stop], Field(max_length=MAX_STOP_SEQUENCES)] | None = None
    temperature: float | None = Field(default=None, ge=0, le=1)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=2**20)
    stream: bool | None = None
    metadata: MessageMetadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
