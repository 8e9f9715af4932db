"""Server-sent events towards the client."""

from collections.abc import AsyncGenerator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tunery_server.errors import EngineUnavailable, TuneryError
from tunery_server.gateway.connection import chunks_to
from tunery_server.gateway.disconnect import ClientGone, until_gone
from tunery_server.gateway.error_handlers import event_of
from tunery_server.serving.usage import StreamCut
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)


class EventStream(Response):
    """Sends events as they come, and always ends with the wire's last event or an ``error`` event.

    A client that goes away ends the source at once, which aborts the request in the engine.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        error_event: Callable[[Exception], bytes],
    ) -> None:
        super().__init__()
        self._first = first
        self._rest = rest
        self._error_event = error_event
        del self.headers["content-length"]
        self.headers["cache-control"] = "no-cache"
        self.headers["x-accel-buffering"] = "no"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            await until_gone(receive, self._send_all(chunks_to(scope, send)))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ClientGone:
            return
        finally:
            await self._rest.aclose()

    async def _send_all(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        await send(self._first)
        try:
            async for events in self._rest:
                await send(events)
        except (TuneryError, StreamCut) as error:
            cut = EngineUnavailable("The engine went away during the answer.")
            await send(self._error_event(cut if isinstance(error, StreamCut) else error))
        except Exception as error:
            log.error("unhandled error in a stream", error=type(error).__name__, exc_info=error)
            await send(self._error_event(error))


async def event_stream(
    request: Request,
    source: AsyncGenerator[bytes, None],
    error_event: Callable[[Exception], bytes] = event_of,
) -> Response:
    """The answer to a streaming request, once its first events are there.

    ``error_event`` says what goes wrong later.
    Errors before that are raised, so that they become a status and a JSON body.
    """
    try:
        first = await until_gone(request.receive, anext(source))
    except BaseException as error:
        await source.aclose()
        if isinstance(error, StreamCut):
            raise EngineUnavailable("The engine went away before the answer.") from error
        raise
    return EventStream(first, source, error_event)
