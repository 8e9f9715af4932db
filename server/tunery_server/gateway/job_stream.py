"""A job's events as server-sent events: what there is, then what comes, to the last one."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from tunery_server.gateway.deps import Services, credentials
from tunery_server.gateway.protocol.job_objects import Event
from tunery_server.records.rows import JobEvent

_DONE = b"data: [DONE]\n\n"
_ALIVE = b":\n"
"""A comment. No empty line follows it: decoders that keep the last id, as the openai package's,
would take that for an event without data."""


async def job_stream(
    request: Request, used: Services, tenant_id: str, job_id: str, last_event_id: str | None
) -> AsyncGenerator[bytes, None]:
    """The events after ``last_event_id``, all without one, until the job has ended.

    Raises NotFound, InvalidRequest, RateLimited or Overloaded before the first bytes, and
    Unauthenticated once the key is revoked, or ServerStopping, between events.
    """
    with used.watchers.place(tenant_id):
        begin = await run_in_threadpool(used.jobs.sequence, tenant_id, job_id, last_event_id)
        yield _ALIVE
        async with aclosing(used.feed.follow(job_id, begin)) as batches:
            async for events in batches:
                await used.authenticator.principal(credentials(request))
                yield b"".join(map(_event, events)) or _ALIVE
    yield _DONE


def _event(event: JobEvent) -> bytes:
    data = Event.of(event).model_dump_json()
    return f"id: {event.id}\ndata: {data}\n\n".encode()
