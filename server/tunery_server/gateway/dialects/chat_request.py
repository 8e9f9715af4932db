"""What every dialect's request becomes."""

from typing import Any

from tunery_server.serving.relay import InferenceRequest

Chat = dict[str, Any]
"""The body of a chat completion, less the model's name."""

CHAT_PATH = "/v1/chat/completions"


def chat_of(model: str, body: Chat, *, user: str | None) -> InferenceRequest:
    """The request for the relay. A stream is asked for its counts, which every dialect tells."""
    return InferenceRequest(
        path=CHAT_PATH,
        model=model,
        body=body,
        stream=body.get("stream", False),
        include_usage=True,
        user=user or "",
    )
