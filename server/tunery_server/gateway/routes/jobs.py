"""``/v1/fine_tuning/jobs``."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams

from tunery_server.errors import InvalidRequest
from tunery_server.gateway import openapi
from tunery_server.gateway.auth import JOBS, Principal
from tunery_server.gateway.deps import After, Sent, Used, scoped
from tunery_server.gateway.job_stream import job_stream
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.protocol.job_objects import (
    Checkpoint,
    CheckpointList,
    Event,
    EventList,
    FineTuningJob,
    JobList,
)
from tunery_server.gateway.protocol.jobs import CreateJob
from tunery_server.gateway.sse import event_stream

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["fine-tuning"])

Caller = Annotated[Principal, Depends(scoped(JOBS))]
Body = Annotated[CreateJob, Depends(json_body(CreateJob))]
Limit = Annotated[int, Query(ge=0, le=100)]

LastEventId = Annotated[str | None, Header(max_length=128)]

_MAX_FILTERS = 16


@router.post("")
async def create(caller: Caller, body: Body, used: Used, sending: Sent) -> FineTuningJob:
    """Start a fine-tune."""
    wanted = body.request()
    create = partial(used.jobs.create, caller.tenant_id, wanted, sending)
    return FineTuningJob.of(await used.estimates.counted(caller.tenant_id, wanted, create))


@router.get("", openapi_extra=openapi.filters("metadata", "Jobs that carry these values."))
def list_jobs(
    request: Request, caller: Caller, used: Used, after: After = None, limit: Limit = 20
) -> JobList:
    """The caller's jobs, newest first; ``metadata[key]=value`` or ``metadata=null`` filters."""
    page = used.jobs.list(
        caller.tenant_id, metadata=_metadata_filter(request.query_params), after=after, limit=limit
    )
    places = used.jobs.queue_positions(*page.items)
    return JobList.of(page, lambda job: FineTuningJob.of(job, places.get(job.id)))


@router.get("/{job_id}")
def retrieve(job_id: str, caller: Caller, used: Used) -> FineTuningJob:
    """One job."""
    job = used.jobs.get(caller.tenant_id, job_id)
    return FineTuningJob.of(job, used.jobs.queue_positions(job).get(job.id))


@router.post("/{job_id}/cancel")
def cancel(job_id: str, caller: Caller, used: Used) -> FineTuningJob:
    """Cancel a job that has not ended."""
    return FineTuningJob.of(used.jobs.cancel(caller.tenant_id, job_id))


@router.post("/{job_id}/pause")
def pause(job_id: str, caller: Caller, used: Used) -> FineTuningJob:
    """Pause a job: it gives its device back and keeps its place and its checkpoint."""
    return FineTuningJob.of(used.jobs.pause(caller.tenant_id, job_id))


@router.post("/{job_id}/resume")
def resume(job_id: str, caller: Caller, used: Used) -> FineTuningJob:
    """Go on with a paused job."""
    job = used.jobs.resume(caller.tenant_id, job_id)
    return FineTuningJob.of(job, used.jobs.queue_positions(job).get(job.id))


@router.get(
    "/{job_id}/events",
    response_model=EventList,
    responses=openapi.answer_or_events(EventList),
)
async def events(
    request: Request,
    job_id: str,
    caller: Caller,
    used: Used,
    after: After = None,
    limit: Limit = 20,
    stream: bool = False,
    last_event_id: LastEventId = None,
) -> EventList | Response:
    """What happened to a job, newest first; with ``stream`` oldest first, until the job ends."""
    if stream:
        _refuse_paging(request.query_params)
        source = job_stream(request, used, caller.tenant_id, job_id, last_event_id)
        return await event_stream(request, source)
    page = await run_in_threadpool(
        used.jobs.events, caller.tenant_id, job_id, after=after, limit=limit
    )
    return EventList.of(page, Event.of)


@router.get("/{job_id}/checkpoints")
def checkpoints(
    job_id: str, caller: Caller, used: Used, after: After = None, limit: Limit = 10
) -> CheckpointList:
    """A job's checkpoints, newest first."""
    page = used.jobs.checkpoints(caller.tenant_id, job_id, after=after, limit=limit)
    return CheckpointList.of(page, Checkpoint.of)


def _refuse_paging(query: QueryParams) -> None:
    for name in ("after", "limit"):
        if name in query:
            raise InvalidRequest(
                f"{name}: pages a list; a stream goes on after the header Last-Event-ID.",
                param=name,
            )


def _metadata_filter(query: QueryParams) -> dict[str, str] | None:
    """``metadata[key]=value`` for each pair, or ``metadata=null`` for jobs that have none."""
    filters = {
        name[len("metadata[") : -1]: value
        for name, value in query.items()
        if name.startswith("metadata[") and name.endswith("]")
    }
    if len(filters) > _MAX_FILTERS:
        raise InvalidRequest(f"At most {_MAX_FILTERS} metadata filters.", param="metadata")
    if "metadata" not in query:
        return filters
    if filters or query["metadata"] != "null":
        raise InvalidRequest("metadata: must be null, or metadata[key].", param="metadata")
    return None
