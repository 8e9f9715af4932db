"""An answer of the engine's on its way to a client that speaks a dialect."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from fastapi import Request, Response

from tunery_server.gateway.dialects.chat_answer import Writer, answer_of, events_of
from tunery_server.gateway.disconnect import until_gone
from tunery_server.gateway.sse import event_stream
from tunery_server.serving.caller import Caller
from tunery_server.serving.relay import InferenceRequest, Relay


async def translated_answer(
    request: Request,
    caller: Caller,
    relay: Relay,
    inference: InferenceRequest,
    writer: Writer,
    error_event: Callable[[Exception], bytes],
) -> Response:
    """What ``writer`` makes of the engine's answer, whole or as a stream."""
    if inference.stream:
        source = relay.stream(caller, inference)
        return await event_stream(request, _translated(source, writer), error_event)
    answer = await until_gone(request.receive, relay.complete(caller, inference))
    return Response(answer_of(writer, answer), media_type="application/json")


async def _translated(
    source: AsyncGenerator[bytes, None], writer: Writer
) -> AsyncGenerator[bytes, None]:
    async with aclosing(source):
        async for chunk in source:
            if events := events_of(writer, chunk):
                yield events
