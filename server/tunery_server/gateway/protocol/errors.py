"""The body of every refusal and failure."""

from tunery_server.gateway.protocol.base import Answer


class ErrorDetail(Answer):
    """What is wrong. ``param`` names the field and ``code`` the kind, where there are such."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(Answer):
    """As OpenAI's."""

    error: ErrorDetail
