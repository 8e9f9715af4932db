"""What a request's first line and header may say, whatever the route."""

from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tunery_server.errors import (
    HeadersTooLarge,
    InvalidRequest,
    NotFound,
    RequestError,
    UnsupportedMediaType,
)
from tunery_server.gateway.connection import MAX_HEADER_BYTES, MAX_HEADERS
from tunery_server.gateway.error_handlers import response_to

_LINE_OVERHEAD = len(": \r\n")
_FIRST_LINE_OVERHEAD = len(" ? HTTP/1.1\r\n")


class HeaderRules:
    """Refuses a request by its header, before any route sees it, and closes the connection.

    ``hosts`` are the names that the Host header may hold, without a port; none means any.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._rules: tuple[Callable[[Scope, Headers], RequestError | None], ...] = (
            _version,
            _size,
            _nul,
            _framing,
            _encoding,
            self._host,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            for rule in self._rules:
                if error := rule(scope, headers):
                    response = response_to(error, {"connection": "close"})
                    await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _host(self, scope: Scope, headers: Headers) -> RequestError | None:
        if not self._hosts or _name_of(headers.get("host", "")) in self._hosts:
            return None
        return InvalidRequest("This server does not answer for that host.", code="invalid_host")


def _version(scope: Scope, headers: Headers) -> RequestError | None:
    if scope["http_version"] in {"1.0", "1.1"}:
        return None
    return InvalidRequest("This server speaks HTTP/1.1.", code="invalid_http")


def _size(scope: Scope, headers: Headers) -> RequestError | None:
    """The exact limit; the connection has kept the size within a few kilobytes of it."""
    raw = scope["headers"]
    size = sum(len(name) + len(value) + _LINE_OVERHEAD for name, value in raw)
    size += len(scope["method"]) + len(scope["path"]) + len(scope["query_string"])
    size += _FIRST_LINE_OVERHEAD
    if len(raw) <= MAX_HEADERS and size <= MAX_HEADER_BYTES:
        return None
    return HeadersTooLarge(
        f"The header is larger than {MAX_HEADER_BYTES} bytes or {MAX_HEADERS} lines."
    )


def _nul(scope: Scope, headers: Headers) -> RequestError | None:
    """No id and no name holds one, and not every database takes it as text."""
    if "\0" in scope["path"]:
        return NotFound("There is nothing with a NUL character in its name.")
    if b"%00" in scope["query_string"]:
        return InvalidRequest("A query must not contain a NUL character.")
    return None


def _framing(scope: Scope, headers: Headers) -> RequestError | None:
    """Two ways to tell a body's length let two servers see two requests (RFC 9112, 6.1)."""
    chunked = "transfer-encoding" in headers
    if chunked and ("content-length" in headers or scope["http_version"] == "1.0"):
        return InvalidRequest(
            "Send either Content-Length or Transfer-Encoding.", code="invalid_http"
        )
    return None


def _encoding(scope: Scope, headers: Headers) -> RequestError | None:
    if headers.get("content-encoding", "identity").lower() in {"identity", ""}:
        return None
    return UnsupportedMediaType("Send the body as it is, without a Content-Encoding.")


def _name_of(host: str) -> str:
    """``host`` without its port: ``[::1]:80`` is ``[::1]``."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() and not name.endswith(":") else host.lower()
