"""``/v1/messages``, Anthropic's wire: what the server answers."""

from typing import Any, Literal

from tunery_server.gateway.protocol.base import Answer

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"]


class SaidText(Answer):
    """What the model said."""

    type: Literal["text"] = "text"
    text: str


class SaidToolUse(Answer):
    """What the model wants called."""

    type: Literal["tool_use"] = "tool_use"
    id: str
    name: str
    input: dict[str, Any]


Block = SaidText | SaidToolUse


class MessageUsage(Answer):
    """Tokens, as the engine counted them. Those out of its prefix cache are counted apart."""

    input_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int


class MessageObject(Answer):
    """A message."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: tuple[Block, ...] = ()
    stop_reason: StopReason | None = None
    stop_sequence: str | None = None
    usage: MessageUsage


class TokenCount(Answer):
    """How long a prompt is."""

    input_tokens: int


class MessageErrorDetail(Answer):
    """What is wrong."""

    type: str
    message: str


class MessageErrorAnswer(Answer):
    """As Anthropic's."""

    type: Literal["error"] = "error"
    error: MessageErrorDetail
    request_id: str | None
