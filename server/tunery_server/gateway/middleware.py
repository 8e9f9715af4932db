"""What wraps every request: an id, a bound on the body, counts and times."""

import re
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunery_server.errors import TooLarge
from tunery_server.gateway.disconnect import ClientGone
from tunery_server.telemetry import metrics
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_REQUEST_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_LENGTH = re.compile(r"[0-9]{1,19}")
_CLIENT_GONE = 499
"""As nginx counts a client that did not wait for the answer."""
_METHODS = frozenset({"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"})


class Observed:
    """Gives each request an id, and records its route, status and time."""

    def __init__(self, app: ASGIApp, *, timer: Callable[[], float] = time.perf_counter) -> None:
        self._app = app
        self._timer = timer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = self._timer(), _CLIENT_GONE
        request_id = _request_id(Headers(scope=scope))

        async def observing_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, observing_send)
            except ClientGone:
                pass
            except Exception:
                status = HTTPStatus.INTERNAL_SERVER_ERROR
                raise
            finally:
                self._record(scope, status, self._timer() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        metrics.HTTP_REQUESTS.labels(route, method, str(status)).inc()
        metrics.HTTP_DURATION.labels(route).observe(seconds)
        log.debug("request", route=route, method=method, status=status, seconds=round(seconds, 4))


class BoundedBody:
    """Refuses a body beyond its limit, by its declared length or by the bytes that came."""

    def __init__(
        self, app: ASGIApp, *, max_bytes: int, upload_path: str, max_upload_bytes: int
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._upload_path = upload_path
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope)
        left = limit

        async def bounded_receive() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0 or _declared(scope) > limit:
                raise TooLarge(f"The body is larger than {limit} bytes.")
            return message

        await self._app(scope, bounded_receive, send)

    def _limit(self, scope: Scope) -> int:
        uploading = scope["method"] == "POST" and scope["path"] == self._upload_path
        return self._max_upload_bytes if uploading else self._max_bytes


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"


def _declared(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "0")
    return int(length) if _LENGTH.fullmatch(length) else 0
