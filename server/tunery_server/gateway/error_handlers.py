"""The only place that writes an error body: ``{"error": {message, type, param, code}}``.

Under /v1/messages it is Anthropic's: ``{"type": "error", "error": {type, message}, request_id}``.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from tunery_server.errors import (
    AdapterDamaged,
    DestinationRefused,
    EngineRefused,
    EngineTooSlow,
    EngineUnavailable,
    HeadersTooLarge,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionDenied,
    QueueUnavailable,
    QuotaExceeded,
    RateLimited,
    RecordUnavailable,
    RequestTimeout,
    ServerStopping,
    StorageFull,
    StorageUnavailable,
    TooLarge,
    TryAgainLater,
    TuneryError,
    Unauthenticated,
    UnsupportedMediaType,
)
from tunery_server.gateway.not_offered import why_not_offered
from tunery_server.gateway.wire import Wire, current_wire
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

STATUSES: dict[type[TuneryError], HTTPStatus] = {
    InvalidRequest: HTTPStatus.BAD_REQUEST,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    PermissionDenied: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    DestinationRefused: HTTPStatus.BAD_REQUEST,
    AdapterDamaged: HTTPStatus.BAD_REQUEST,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HeadersTooLarge: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    RequestTimeout: HTTPStatus.REQUEST_TIMEOUT,
    QuotaExceeded: HTTPStatus.TOO_MANY_REQUESTS,
    UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    EngineUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    EngineTooSlow: HTTPStatus.SERVICE_UNAVAILABLE,
    QueueUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    RecordUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    ServerStopping: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageFull: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Every error that a client can see, and its status."""

_TYPES = {
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    HTTPStatus.INTERNAL_SERVER_ERROR: "server_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "service_unavailable_error",
}

_ANTHROPIC_TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request_too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    HTTPStatus.INTERNAL_SERVER_ERROR: "api_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "api_error",
}

_PROMPTS = {"/v1/completions": "prompt", "/v1/responses": "input"}
"""By path, the field that holds the prompt, where it is not ``messages``."""

_CODES = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
}


def install(app: FastAPI) -> None:
    """Answer every error in OpenAI's shape."""
    app.add_exception_handler(TuneryError, _on_tunery_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)


def error_body(
    message: str, *, status: HTTPStatus, code: str | None = None, param: str | None = None
) -> bytes:
    """The body as ASCII JSON, whatever characters the client sent."""
    if current_wire() is Wire.ANTHROPIC:
        return _ascii(_anthropic_error(message, status, code))
    error = {
        "message": message,
        "type": _TYPES.get(status, "invalid_request_error"),
        "param": param,
        "code": code,
    }
    return _ascii({"error": error})


def body_of(error: TuneryError, path: str = "") -> tuple[HTTPStatus, bytes]:
    """Status and body of one of our errors. ``path`` is the route's, which may name fields."""
    error = _translated(error, path)
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return status, _internal()
    return status, error_body(error.message, status=status, code=error.code, param=error.param)


def status_of(error: TuneryError) -> HTTPStatus:
    """The status that one of our errors is answered with."""
    return STATUSES.get(type(_translated(error)), HTTPStatus.INTERNAL_SERVER_ERROR)


def response_to(error: TuneryError, headers: Mapping[str, str] | None = None) -> Response:
    """The whole answer to one of our errors, with ``headers`` beside its own."""
    error = _translated(error)
    status, body = body_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("error without a status", error=type(error).__name__)
    headers = dict(headers or {})
    if isinstance(error, TryAgainLater):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, QuotaExceeded):
        headers["x-should-retry"] = "false"
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return _response(status, body, headers)


def response_to_bug(error: Exception) -> Response:
    """The answer when something that nobody thought of went wrong; the log gets the details."""
    log.error("unhandled error", error=type(error).__name__, exc_info=error)
    return _response(HTTPStatus.INTERNAL_SERVER_ERROR, _internal(), {"connection": "close"})


def event_of(error: Exception) -> bytes:
    """The last event of a stream that failed after its status was sent."""
    return b"data: " + _body_of_any(error) + b"\n\n"


def named_event_of(error: Exception) -> bytes:
    """The same in a stream whose events have names."""
    return b"event: error\n" + event_of(error)


def response_event_of(error: Exception, sequence_number: int) -> bytes:
    """The same in a stream of /v1/responses: OpenAI's ``error`` event.

    It says everything once more under ``error``, by which the stock client knows to raise.
    """
    said = json.loads(_body_of_any(error))
    fields = {name: said["error"][name] for name in ("code", "message", "param")}
    event = {"type": "error", "sequence_number": sequence_number, **fields, **said}
    return b"event: error\ndata: " + _ascii(event) + b"\n\n"


def _body_of_any(error: Exception) -> bytes:
    return body_of(error)[1] if isinstance(error, TuneryError) else _internal()


def _anthropic_error(message: str, status: HTTPStatus, code: str | None) -> dict[str, Any]:
    kind = _ANTHROPIC_TYPES.get(status, "invalid_request_error")
    if code == Overloaded.code:
        kind = "overloaded_error"
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
    }


def _ascii(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def _translated(error: TuneryError, path: str = "") -> TuneryError:
    """The engine's own refusals, in our words where we know what they mean."""
    if not isinstance(error, EngineRefused):
        return error
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return EngineUnavailable("The engine could not finish the request.", code="engine_error")
    message = error.message.lower()
    if "context length" in message or "max_model_len" in message:
        return InvalidRequest(
            "The prompt and the tokens asked for do not fit into the model's context.",
            code="context_length_exceeded",
            param=_PROMPTS.get(path, "messages"),
        )
    if "grammar" in message or "schema" in message:
        return InvalidRequest(
            "The engine cannot hold an answer to this JSON schema. "
            "docs/parameters.md says which ones it takes.",
            code="invalid_schema",
        )
    return InvalidRequest("The engine cannot run this request with this model.", param=error.param)


async def _on_tunery_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TuneryError)  # noqa: S101 - registered for this class
    return response_to(_translated(error, request.scope["path"]))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    status = HTTPStatus(error.status_code)
    message = f"{status.phrase}."
    if status is HTTPStatus.NOT_FOUND:
        message = why_not_offered(request.scope["path"]) or message
    body = error_body(message, status=status, code=_CODES.get(status))
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request)
    return _response(status, body, headers)


def _allowed(request: Request) -> str:
    """The methods of all routes of this path; Starlette names those of the first route.

    A path that is some route's to the letter is not taken for another's parameter.
    """
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    there = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    there = [route for route in there if route.path == request.scope["path"]] or there
    same = (route for route in there if route.path == there[0].path)
    return ", ".join(sorted({method for route in same for method in route.methods or ()}))


async def _on_invalid_parameters(request: Request, error: Exception) -> Response:
    """Query, path and form parameters, which FastAPI checks."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    first = error.errors()[0]
    param = str(first["loc"][-1])
    status = HTTPStatus.BAD_REQUEST
    body = error_body(f"{param}: {first['msg']}.", status=status, code="invalid_value", param=param)
    return _response(status, body, {})


def _internal() -> bytes:
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return error_body("The server made a mistake. The log has the details.", status=status)


def _response(status: HTTPStatus, body: bytes, headers: dict[str, Any]) -> Response:
    return Response(body, status, headers, media_type="application/json")
