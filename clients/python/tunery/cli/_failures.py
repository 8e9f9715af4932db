"""One line for what went wrong, with what to do next."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

import tunery

if TYPE_CHECKING:
    import openai


def explain(error: Exception) -> str | None:
    """The line for ``error``, or None where it is a fault of this program."""
    import openai  # noqa: PLC0415  takes a second to load, and only a failure needs it

    line: str | None = None
    match error:
        case tunery.TuneryError() | openai.APIResponseValidationError():
            line = str(error)
        case openai.APITimeoutError():
            line = f"no answer from {_origin(error)} in time; is the server overloaded?"
        case openai.APIConnectionError():
            line = (
                f"cannot reach {_origin(error)}. Start a server with `tunery serve`,"
                " or name one with --base-url or TUNERY_BASE_URL"
            )
        case openai.APIStatusError():
            line = _refusal(error)
        case openai.APIError():
            line = error.message
        case OSError(filename=str() as name, strerror=str() as reason):
            line = f"{name}: {reason}"
    return line


def _origin(error: "openai.APIConnectionError") -> str:
    url = error.request.url
    return f"{url.scheme}://{url.netloc.decode()}"


def _refusal(error: "openai.APIStatusError") -> str:
    body = error.body if isinstance(error.body, Mapping) else {}
    message = str(body.get("message") or f"the server answered {error.status_code}")
    hint = _hint(error)
    return f"{message.rstrip('.')}. {hint}" if hint else message


def _hint(error: "openai.APIStatusError") -> str | None:
    status, headers = error.status_code, error.response.headers
    hint = None
    if status == HTTPStatus.UNAUTHORIZED:
        hint = "Give another key with TUNERY_API_KEY or --api-key"
    elif status == HTTPStatus.NOT_FOUND and not isinstance(error.body, Mapping):
        hint = "Does the base URL end in /v1?"
    elif "retry-after" in headers:
        hint = f"Try again in {headers['retry-after']} s"
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        hint = f"The server's log has more (request {error.request_id or 'without an id'})"
    return hint
