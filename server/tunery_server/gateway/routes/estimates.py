"""What a fine-tuning job would come to, before it costs anything."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from tunery_server.gateway.auth import JOBS, Principal
from tunery_server.gateway.deps import Used, scoped
from tunery_server.gateway.disconnect import until_gone
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.protocol.estimates import JobEstimate, JobPreview, PreviewJob
from tunery_server.gateway.protocol.jobs import CreateJob
from tunery_server.jobs.estimate import Preview

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["fine-tuning"])

Caller = Annotated[Principal, Depends(scoped(JOBS))]
Body = Annotated[CreateJob, Depends(json_body(CreateJob))]
PreviewBody = Annotated[PreviewJob, Depends(json_body(PreviewJob))]


@router.post("/estimate")
async def estimate(request: Request, caller: Caller, body: Body, used: Used) -> JobEstimate:
    """Say what a fine-tune would take; the body is that which would create it."""
    work = used.estimates.estimate(caller.tenant_id, body.request())
    return JobEstimate.of(await until_gone(request.receive, work))


@router.post("/preview", response_model=JobPreview)
async def preview(request: Request, caller: Caller, body: PreviewBody, used: Used) -> Response:
    """Show rows of the training file as tokens, and which of them are trained on."""
    work = used.estimates.preview(
        caller.tenant_id, body.request(), offset=body.offset, limit=body.limit
    )
    preview = await until_gone(request.receive, work)
    # Tens of thousands of tokens: nobody else should wait while they are written.
    return Response(await asyncio.to_thread(_written, preview), media_type="application/json")


def _written(preview: Preview) -> bytes:
    answer = JobPreview.of(preview.rows, preview.survey, preview.max_length)
    return answer.model_dump_json().encode()
