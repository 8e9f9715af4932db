"""One client's connection, below the app: what uvicorn's h11 protocol leaves unbounded.

A header has a size, a number of lines and a deadline. A client that stops reading its answer is
cut off. Whatever is refused here is refused in the shape of every other error.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from tunery_server.errors import HeadersTooLarge, InvalidRequest, RequestError, RequestTimeout
from tunery_server.gateway.error_handlers import body_of
from tunery_server.ids import new_id

MAX_HEADER_BYTES = 2**16
"""Request line and headers together."""
MAX_HEADERS = 256
MIN_PROGRESS_BYTES = 4096
"""Less than this in one stall time is no progress, in either direction."""

_SEND_CHUNK = "tunery.send_chunk"
"""An ASGI extension of ours."""
_PIECE_BYTES = 2**13
"""h11 is fed so much at once, so that a header is refused before it is parsed: 2 us a line."""
_UNSENT_BYTES = 2**14
"""Of an answer, in the kernel; what was sent and not acknowledged is the client's window."""
_LINGER_S = 1.0
"""After a refusal, input is dropped for so long: closing at once could destroy the answer."""


class Connection(H11Protocol):
    """uvicorn's protocol with deadlines for a header and for taking an answer."""

    def __init__(
        self,
        *args: Any,
        header_timeout_s: float,
        stall_timeout_s: float,
        on_shutdown: Callable[[], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._on_shutdown = on_shutdown
        self._header_timeout_s = header_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._header_bytes = 0
        self._header_lines = 0
        self._header_deadline: asyncio.TimerHandle | None = None
        self._progress_check: asyncio.TimerHandle | None = None
        self._unsent_bytes: int | None = None
        self._refused = False
        self.app = self._offering_chunks(self.app)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _bound_unsent(transport)
        self._await_header()
        self._progress_check = self.loop.call_later(self._stall_timeout_s, self._check_progress)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._header_deadline, self._progress_check):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """What uvicorn calls when the server ends; an answer without an end gets one."""
        self._on_shutdown()
        super().shutdown()

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE_BYTES):
            if self._refused or self.transport.is_closing():
                return
            piece = data[start : start + _PIECE_BYTES]
            in_header = self.conn.their_state is h11.IDLE
            super().data_received(piece)
            if in_header and not self._refused:
                self._count(piece)
        self._hear_a_pipelining_client()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when h11 cannot read the request."""
        self._refuse(InvalidRequest("This is not a valid HTTP request.", code="invalid_http"))

    def resume_writing(self) -> None:
        self._unsent_bytes = None
        super().resume_writing()

    def _offering_chunks(self, app: ASGIApp) -> ASGIApp:
        async def offering(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["http_version"] == "1.1" and scope["method"] != "HEAD":
                scope["extensions"] = {_SEND_CHUNK: self._send_chunk}
            await app(scope, receive, send)

        return offering

    async def _send_chunk(self, data: bytes) -> None:
        """One chunk (RFC 9112, 7.1) of an answer that has begun, as h11 would write it."""
        if self.flow.write_paused and not self.cycle.disconnected:
            await self.flow.drain()
        if data and not self.cycle.disconnected:
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _await_header(self) -> None:
        self._header_bytes = self._header_lines = 0
        self._header_deadline = self.loop.call_later(self._header_timeout_s, self._header_is_late)

    def _count(self, piece: bytes) -> None:
        """Account for a piece that began inside a header."""
        if self._header_deadline is None:
            self._await_header()
        if self.conn.their_state is not h11.IDLE:
            self._header_is_whole()
            return
        self._header_bytes += len(piece)
        self._header_lines += piece.count(b"\n")
        if self._header_bytes > MAX_HEADER_BYTES or self._header_lines > MAX_HEADERS + 1:
            self._refuse(
                HeadersTooLarge(
                    f"The header is larger than {MAX_HEADER_BYTES} bytes or {MAX_HEADERS} lines."
                )
            )

    def _header_is_whole(self) -> None:
        if self._header_deadline is not None:
            self._header_deadline.cancel()
            self._header_deadline = None

    def _header_is_late(self) -> None:
        self._header_deadline = None
        if self._header_bytes:
            self._refuse(RequestTimeout("The header of the request did not come in time."))
        else:
            self.transport.close()

    def _refuse(self, error: RequestError) -> None:
        """Answer for the app, which hears that the client has gone, and close."""
        self._refused = True
        self._header_is_whole()
        begun = self.cycle is not None and not self.cycle.response_complete
        if begun:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if begun and self.cycle.response_started:
            self.transport.abort()
            return
        self.transport.write(_response(error))
        with contextlib.suppress(OSError, NotImplementedError):
            self.transport.write_eof()
        self.flow.resume_reading()
        self._header_deadline = self.loop.call_later(_LINGER_S, self.transport.abort)

    def _hear_a_pipelining_client(self) -> None:
        """Reading stops at a second request while the first runs; then nobody would hear that the
        client goes away. So a little of it is read on, and a client that sends more is cut off."""
        if self.flow.read_paused and self.conn.their_state is h11.DONE:
            if len(self.conn.trailing_data[0]) > MAX_HEADER_BYTES:
                self.transport.abort()
            else:
                self.flow.resume_reading()

    def _check_progress(self) -> None:
        """Cut off a client that has taken next to nothing of its answer since the last look."""
        size = self.transport.get_write_buffer_size()
        waiting = size > 0 and (self.flow.write_paused or self.transport.is_closing())
        before, self._unsent_bytes = self._unsent_bytes, size if waiting else None
        if waiting and before is not None and before - size < MIN_PROGRESS_BYTES:
            self.transport.abort()
            return
        self._progress_check = self.loop.call_later(self._stall_timeout_s, self._check_progress)


def chunks_to(scope: Scope, send: Send) -> Callable[[bytes], Awaitable[None]]:
    """How to send the next piece of an answer without a length, whose head was sent.

    Where it may, it goes straight to the connection: nothing between has a say in it, and in a
    stream that is most of what a token costs.
    """

    async def through_the_app(data: bytes) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": True})

    straight: Callable[[bytes], Awaitable[None]] | None = scope.get("extensions", {}).get(
        _SEND_CHUNK
    )
    return straight or through_the_app


def _bound_unsent(transport: asyncio.Transport) -> None:
    """Let the kernel take no more of an answer than it can send soon."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    connection = transport.get_extra_info("socket")
    if option is not None and connection is not None:
        with contextlib.suppress(OSError):  # a Unix socket has no such option
            connection.setsockopt(socket.IPPROTO_TCP, option, _UNSENT_BYTES)


def _response(error: RequestError) -> bytes:
    status, body = body_of(error)
    head = (
        f"HTTP/1.1 {int(status)} {HTTPStatus(status).phrase}\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
        f"x-request-id: {new_id('req_')}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
