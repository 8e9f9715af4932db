"""``/v1/models`` and ``/v1/adapters``."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from tunery_server.gateway import openapi
from tunery_server.gateway.auth import ADAPTERS, FILES, Principal
from tunery_server.gateway.deps import After, Sent, Services, Used, authenticate, scoped
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.protocol.models import (
    AdapterDeleted,
    AdapterList,
    AdapterObject,
    DescribedAdapter,
    ImportAdapter,
    Model,
    ModelDeleted,
    ModelList,
)
from tunery_server.records.rows import Adapter

router = APIRouter(prefix="/v1", tags=["models"])

Caller = Annotated[Principal, Depends(authenticate)]
Owner = Annotated[Principal, Depends(scoped(ADAPTERS))]
Body = Annotated[ImportAdapter, Depends(json_body(ImportAdapter))]

_TAR = "application/x-tar"

_Aliases = Mapping[str, tuple[str, ...]]
"""A tenant's names, by the models that answer for them."""


@router.get("/models")
def list_models(caller: Caller, used: Used) -> ModelList:
    """The base model and the caller's adapters."""
    page = used.catalogue.adapters(caller.tenant_id)
    aliases = used.catalogue.aliases(caller.tenant_id)
    own = (_model(used, adapter, caller, aliases) for adapter in page.items)
    return ModelList(data=(_base(used, aliases), *own))


@router.get("/models/{model:path}")
def retrieve_model(model: str, caller: Caller, used: Used) -> Model:
    """One model by name; names hold colons and slashes."""
    aliases = used.catalogue.aliases(caller.tenant_id)
    if model == used.catalogue.base_model:
        return _base(used, aliases)
    return _model(used, used.catalogue.usable(caller.tenant_id, model), caller, aliases)


@router.delete("/models/{model:path}")
async def delete_model(model: str, caller: Owner, used: Used) -> ModelDeleted:
    """Take an adapter out of service."""
    await _retire(used, caller, model)
    return ModelDeleted(id=model)


@router.get("/adapters")
def list_adapters(
    caller: Caller,
    used: Used,
    after: After = None,
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
) -> AdapterList:
    """The caller's adapters, newest first."""
    page = used.catalogue.adapters(caller.tenant_id, after=after, limit=limit)
    return AdapterList.of(
        page, lambda adapter: AdapterObject.of(adapter, used.catalogue.residency(adapter))
    )


@router.post("/adapters", dependencies=[Depends(scoped(FILES))])
async def import_adapter(caller: Owner, body: Body, used: Used, sending: Sent) -> DescribedAdapter:
    """Take in an adapter that was trained elsewhere; it answers from then on."""
    adapter = await used.imports.create(caller.tenant_id, body.request(), sending)
    return await run_in_threadpool(_described, used, adapter)


@router.get(
    "/adapters/{model:path}/content",
    response_class=StreamingResponse,
    responses=openapi.content(_TAR),
)
def adapter_content(model: str, caller: Owner, used: Used) -> StreamingResponse:
    """One adapter's files as a tar: weights, configuration, and a card."""
    adapter = used.catalogue.adapter(caller.tenant_id, model)
    archive = used.exports.content(adapter)
    headers = {
        "Content-Length": str(archive.size),
        "Content-Disposition": f'attachment; filename="{adapter.adapter_id}.tar"',
    }
    return StreamingResponse(archive.chunks(), headers=headers, media_type=_TAR)


@router.post("/adapters/{model:path}/pin")
async def pin_adapter(model: str, caller: Owner, used: Used) -> AdapterObject:
    """Load one adapter, and keep it in the engine while others come and go."""
    adapter = await used.pins.pin(caller.tenant_id, model)
    return AdapterObject.of(adapter, used.catalogue.residency(adapter))


@router.post("/adapters/{model:path}/unpin")
async def unpin_adapter(model: str, caller: Owner, used: Used) -> AdapterObject:
    """Let one adapter give way to others again."""
    adapter = await used.pins.unpin(caller.tenant_id, model)
    return AdapterObject.of(adapter, used.catalogue.residency(adapter))


@router.get("/adapters/{model:path}")
def retrieve_adapter(model: str, caller: Caller, used: Used) -> DescribedAdapter:
    """One adapter by its model name."""
    return _described(used, used.catalogue.adapter(caller.tenant_id, model))


@router.delete("/adapters/{model:path}")
async def delete_adapter(model: str, caller: Owner, used: Used) -> AdapterDeleted:
    """Take an adapter out of service."""
    await _retire(used, caller, model)
    return AdapterDeleted(id=model)


def _described(used: Services, adapter: Adapter) -> DescribedAdapter:
    manifest = used.exports.manifest(adapter)
    return DescribedAdapter.described(adapter, used.catalogue.residency(adapter), manifest)


async def _retire(used: Services, caller: Principal, model: str) -> None:
    adapter = await run_in_threadpool(used.catalogue.retire, caller.tenant_id, model)
    await used.catalogue.unload(adapter)


def _model(used: Services, adapter: Adapter, caller: Principal, aliases: _Aliases) -> Model:
    return Model.of(
        adapter,
        caller.tenant_id,
        aliases=aliases.get(adapter.model, ()),
        residency=used.catalogue.residency(adapter),
    )


def _base(used: Services, aliases: _Aliases) -> Model:
    catalogue = used.catalogue
    return Model(
        id=catalogue.base_model,
        created=int(catalogue.started_at),
        owned_by="tunery",
        aliases=aliases.get(catalogue.base_model, ()),
        residency=catalogue.base_residency(),
    )
