"""``/v1/batches``. A batch reads a file and spends inference, so it wants both scopes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool

from tunery_server.gateway.auth import FILES, INFERENCE, Principal
from tunery_server.gateway.deps import After, Sent, Used, scoped
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.protocol.batches import BatchList, BatchObject, CreateBatch

router = APIRouter(prefix="/v1/batches", tags=["batches"], dependencies=[Depends(scoped(FILES))])

Caller = Annotated[Principal, Depends(scoped(INFERENCE))]
Body = Annotated[CreateBatch, Depends(json_body(CreateBatch))]


@router.post("")
async def create(caller: Caller, body: Body, used: Used, sending: Sent) -> BatchObject:
    """Run every line of a file, behind interactive traffic."""
    batch = await run_in_threadpool(used.batches.create, caller.tenant_id, body.request(), sending)
    return BatchObject.of(batch)


@router.get("")
def list_batches(
    caller: Caller,
    used: Used,
    after: After = None,
    limit: Annotated[int, Query(ge=0, le=100)] = 20,
) -> BatchList:
    """The caller's batches, newest first."""
    return BatchList.of(
        used.batches.list(caller.tenant_id, after=after, limit=limit), BatchObject.of
    )


@router.get("/{batch_id}")
def retrieve(batch_id: str, caller: Caller, used: Used) -> BatchObject:
    """One batch."""
    return BatchObject.of(used.batches.get(caller.tenant_id, batch_id))


@router.post("/{batch_id}/cancel")
def cancel(batch_id: str, caller: Caller, used: Used) -> BatchObject:
    """Stop a batch; the results that it has become files."""
    return BatchObject.of(used.batches.cancel(caller.tenant_id, batch_id))
