"""What wraps every request: an id, counts and times, an answer whatever happens."""

import re
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunery_server.gateway.disconnect import ClientGone
from tunery_server.gateway.error_handlers import response_to_bug
from tunery_server.gateway.wire import Wire, speaking, wire_of
from tunery_server.records.actor import acting
from tunery_server.telemetry import metrics
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_REQUEST_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_CLIENT_GONE = 499
"""As nginx counts a client that did not wait for the answer."""
_METHODS = frozenset({"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"})


class Observed:
    """Gives each request an id, and records its route, status and time.

    A bug becomes a 500 here, inside of whatever gives each answer its id.
    """

    def __init__(self, app: ASGIApp, *, timer: Callable[[], float] = time.perf_counter) -> None:
        self._app = app
        self._timer = timer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = self._timer(), _CLIENT_GONE
        request_id, wire = _request_id(Headers(scope=scope)), wire_of(scope)

        async def observing_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                if wire is Wire.ANTHROPIC:
                    headers["request-id"] = request_id
            await send(message)

        bound = structlog.contextvars.bound_contextvars(request_id=request_id)
        with bound, speaking(wire), acting(None):
            try:
                await self._app(scope, receive, observing_send)
            except (ClientGone, ClientDisconnect):
                pass
            except Exception as error:
                response = response_to_bug(error)
                if status != _CLIENT_GONE:  # too late for another status: the server hangs up
                    status = HTTPStatus.INTERNAL_SERVER_ERROR
                    raise
                await response(scope, receive, observing_send)
            finally:
                self._record(scope, status, self._timer() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        metrics.HTTP_REQUESTS.labels(route, method, str(status)).inc()
        metrics.HTTP_DURATION.labels(route).observe(seconds)
        log.debug("request", route=route, method=method, status=status, seconds=round(seconds, 4))


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
