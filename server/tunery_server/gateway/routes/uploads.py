"""``/v1/uploads``: files that come in parts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool

from tunery_server.gateway import openapi
from tunery_server.gateway.auth import FILES, Principal
from tunery_server.gateway.deps import Sent, Used, scoped
from tunery_server.gateway.multipart import discarding, read_form
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.protocol.uploads import (
    CompleteUpload,
    CreateUpload,
    PartForm,
    UploadObject,
    UploadPartObject,
)

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

Caller = Annotated[Principal, Depends(scoped(FILES))]
CreateBody = Annotated[CreateUpload, Depends(json_body(CreateUpload))]
CompleteBody = Annotated[CompleteUpload, Depends(json_body(CompleteUpload))]


@router.post("")
async def create(caller: Caller, body: CreateBody, used: Used, sending: Sent) -> UploadObject:
    """Begin an upload; it expires in an hour."""
    upload = await run_in_threadpool(used.uploads.create, body.new(caller.tenant_id), sending)
    return UploadObject.of(upload)


@router.post("/{upload_id}/parts", openapi_extra=openapi.form_body(PartForm))
async def add_part(
    upload_id: str, request: Request, caller: Caller, used: Used
) -> UploadPartObject:
    """Add a part of at most 64 MiB. Parts may come in any order, several at once."""
    async with discarding(used.uploads.incoming, caller.tenant_id, upload_id) as incoming:
        await read_form(request, incoming, file="data")
        part = await run_in_threadpool(used.uploads.add_part, caller.tenant_id, upload_id, incoming)
    return UploadPartObject.of(part)


@router.post("/{upload_id}/complete")
async def complete(upload_id: str, caller: Caller, body: CompleteBody, used: Used) -> UploadObject:
    """Make the file of these parts, in this order."""
    upload, file = await run_in_threadpool(
        used.uploads.complete, caller.tenant_id, upload_id, body.part_ids, body.md5
    )
    return UploadObject.of(upload, file)


@router.post("/{upload_id}/cancel")
def cancel(upload_id: str, caller: Caller, used: Used) -> UploadObject:
    """Give an upload up."""
    return UploadObject.of(used.uploads.cancel(caller.tenant_id, upload_id))
