"""``/v1/responses``: what the server answers."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from tunery_server.gateway.protocol.base import Answer
from tunery_server.gateway.protocol.responses import ResponseRequest

ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputText(Answer):
    """A part of a message."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: tuple[()] = ()
    logprobs: tuple[dict[str, Any], ...] = ()


class OutputMessage(Answer):
    """What the model said."""

    id: str
    type: Literal["message"] = "message"
    status: ItemStatus
    role: Literal["assistant"] = "assistant"
    content: tuple[OutputText, ...]


class FunctionCall(Answer):
    """What the model wants called."""

    id: str
    type: Literal["function_call"] = "function_call"
    status: ItemStatus
    call_id: str
    name: str
    arguments: str


OutputItem = OutputMessage | FunctionCall


class InputDetails(Answer):
    """What the engine's prefix cache spared."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputDetails(Answer):
    """No model here reasons apart from its answer."""

    reasoning_tokens: int = 0


class ResponseUsage(Answer):
    """Tokens, as the engine counted them."""

    input_tokens: int
    input_tokens_details: InputDetails = InputDetails()
    output_tokens: int
    output_tokens_details: OutputDetails = OutputDetails()
    total_tokens: int


class IncompleteDetails(Answer):
    """Why an answer has no proper end."""

    reason: Literal["max_output_tokens"] = "max_output_tokens"


class Reasoning(Answer):
    """Asked for by nobody."""

    effort: None = None
    summary: None = None


class GivenTool(Answer):
    """A tool as it was given."""

    type: Literal["function"] = "function"
    name: str
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool | None


class GivenToolChoice(Answer):
    """The tool that was asked for."""

    type: Literal["function"] = "function"
    name: str


class GivenFormat(Answer):
    """Free text, or any JSON object."""

    type: Literal["text", "json_object"] = "text"


class GivenSchema(Answer):
    """The schema as it was given."""

    model_config = ConfigDict(populate_by_name=True)

    type: Literal["json_schema"] = "json_schema"
    name: str
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None
    strict: bool | None


class TextConfig(Answer):
    """The form of the answer."""

    format: GivenFormat | GivenSchema = GivenFormat()
    verbosity: Literal["medium"] = "medium"


class ResponseObject(Answer):
    """A response. It says ``store: false`` whatever was asked for: nothing is kept.

    ``temperature`` and ``top_p`` are null where the model's own defaults apply.
    """

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Literal["in_progress", "completed", "incomplete"]
    background: Literal[False] = False
    error: None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    model: str
    output: tuple[OutputItem, ...] = ()
    parallel_tool_calls: bool
    previous_response_id: None = None
    prompt_cache_key: str | None
    reasoning: Reasoning = Reasoning()
    safety_identifier: str | None
    service_tier: Literal["default"] = "default"
    store: Literal[False] = False
    temperature: float | None
    text: TextConfig
    tool_choice: Literal["none", "auto", "required"] | GivenToolChoice
    tools: tuple[GivenTool, ...]
    top_logprobs: int
    top_p: float | None
    truncation: Literal["disabled"] = "disabled"
    usage: ResponseUsage | None = None
    user: str | None

    @classmethod
    def begun(
        cls, request: ResponseRequest, *, id: str, created_at: int, model: str
    ) -> "ResponseObject":
        """The response to ``request`` before the model has said anything."""
        return cls(
            id=id,
            created_at=created_at,
            status="in_progress",
            instructions=request.instructions,
            max_output_tokens=request.max_output_tokens,
            max_tool_calls=request.max_tool_calls,
            metadata=request.metadata or {},
            model=model,
            parallel_tool_calls=request.parallel_tool_calls is not False,
            prompt_cache_key=request.prompt_cache_key,
            safety_identifier=request.safety_identifier,
            temperature=request.temperature,
            text=_text_config(request),
            tool_choice=_tool_choice(request),
            tools=tuple(GivenTool(**tool.model_dump()) for tool in request.tools or ()),
            top_logprobs=request.top_logprobs or 0,
            top_p=request.top_p,
            user=request.user,
        )

    def ended(
        self, *, incomplete: bool, output: tuple[OutputItem, ...], usage: ResponseUsage | None
    ) -> "ResponseObject":
        """The same response with what the model said."""
        ending: dict[str, Any] = {"status": "completed", "output": output, "usage": usage}
        if incomplete:
            ending |= {"status": "incomplete", "incomplete_details": IncompleteDetails()}
        return self.model_copy(update=ending)


class InputTokens(Answer):
    """How long a prompt is."""

    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int


def _tool_choice(
    request: ResponseRequest,
) -> Literal["none", "auto", "required"] | GivenToolChoice:
    choice = request.tool_choice or "auto"
    return choice if isinstance(choice, str) else GivenToolChoice(name=choice.name)


def _text_config(request: ResponseRequest) -> TextConfig:
    if request.text is None or request.text.format is None:
        return TextConfig()
    return TextConfig.model_validate({"format": request.text.format.model_dump()})
