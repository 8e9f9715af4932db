"""A request's body: how large it may be, and how slowly it may come."""

import asyncio
import contextlib
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunery_server.errors import RequestTimeout, TooLarge
from tunery_server.gateway.connection import MIN_PROGRESS_BYTES
from tunery_server.gateway.error_handlers import response_to

_LENGTH = re.compile(r"[0-9]{1,19}")
_LINGER_S = 1.0
"""What still comes is dropped for so long after an early answer, which a reset could destroy."""


class BoundedBody:
    """Refuses a body beyond its limit, by its declared length or by the bytes that came.

    One that stalls is refused, too: the app may wait ``stall_timeout_s`` for the next
    :data:`MIN_PROGRESS_BYTES` or the end. An answer to a body that was not read to its end closes
    the connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        upload_paths: re.Pattern[str],
        max_upload_bytes: int,
        stall_timeout_s: float,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._upload_paths = upload_paths
        self._max_upload_bytes = max_upload_bytes
        self._stall_timeout_s = stall_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit, headers = self._limit(scope), Headers(scope=scope)
        body = _Body(receive, send, limit, self._stall_timeout_s, ended=not _announced(headers))
        if _declared(headers) > limit:
            response = response_to(_too_large(limit), {"connection": "close"})
            await response(scope, body.receive, body.send)
        else:
            await self._app(scope, body.receive, body.send)

    def _limit(self, scope: Scope) -> int:
        uploading = scope["method"] == "POST" and self._upload_paths.fullmatch(scope["path"])
        return self._max_upload_bytes if uploading else self._max_bytes


class _Body:
    """One request's body on its way in, and the answer that may come before its end."""

    def __init__(
        self, receive: Receive, send: Send, limit: int, stall_timeout_s: float, *, ended: bool
    ) -> None:
        self._receive = receive
        self._send = send
        self._limit = limit
        self._left = limit
        self._stall_timeout_s = stall_timeout_s
        self._patience_s = stall_timeout_s
        self._progress = 0
        self._ended = ended

    async def receive(self) -> Message:
        """The next piece; after the end, whatever the server says. Raises as documented above."""
        if self._ended:
            return await self._receive()
        message = await self._piece()
        size = len(message.get("body", b""))
        self._left -= size
        if self._left < 0:
            raise _too_large(self._limit)
        self._progress += size
        if self._progress >= MIN_PROGRESS_BYTES:
            self._progress, self._patience_s = 0, self._stall_timeout_s
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on; a body that has not ended by then is not waited for."""
        if message["type"] == "http.response.start" and not self._ended:
            await self._drop(0)
            if not self._ended:
                MutableHeaders(scope=message)["connection"] = "close"
        elif not self._ended and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._drop(_LINGER_S)
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _piece(self) -> Message:
        """Only the time that is spent waiting here counts against the client."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._patience_s):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout("The body of the request did not come in time.") from None
        self._patience_s -= loop.time() - started
        self._note_end(message)
        return message

    async def _drop(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._ended:
                    self._note_end(await self._receive())

    def _note_end(self, message: Message) -> None:
        self._ended = message["type"] == "http.disconnect" or not message.get("more_body", False)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit} bytes.")


def _announced(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _declared(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    return int(length) if _LENGTH.fullmatch(length) else 0
