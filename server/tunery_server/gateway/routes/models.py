"""``/v1/models`` and ``/v1/adapters``."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool

from tunery_server.gateway.auth import ADAPTERS, Principal
from tunery_server.gateway.deps import After, Services, Used, authenticate, scoped
from tunery_server.gateway.protocol.models import (
    AdapterDeleted,
    AdapterList,
    AdapterObject,
    Model,
    ModelDeleted,
    ModelList,
)

router = APIRouter(prefix="/v1", tags=["models"])

Caller = Annotated[Principal, Depends(authenticate)]
Owner = Annotated[Principal, Depends(scoped(ADAPTERS))]


@router.get("/models")
def list_models(caller: Caller, used: Used) -> ModelList:
    """The base model and the caller's adapters."""
    page = used.catalogue.adapters(caller.tenant_id)
    own = (Model.of(adapter, caller.tenant_id) for adapter in page.items)
    return ModelList(data=(_base(used), *own))


@router.get("/models/{model:path}")
def retrieve_model(model: str, caller: Caller, used: Used) -> Model:
    """One model by name; names hold colons and slashes."""
    if model == used.catalogue.base_model:
        return _base(used)
    return Model.of(used.catalogue.usable(caller.tenant_id, model), caller.tenant_id)


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


@router.get("/adapters/{model:path}")
def retrieve_adapter(model: str, caller: Caller, used: Used) -> AdapterObject:
    """One adapter by its model name."""
    adapter = used.catalogue.adapter(caller.tenant_id, model)
    return AdapterObject.of(adapter, used.catalogue.residency(adapter))


@router.delete("/adapters/{model:path}")
async def delete_adapter(model: str, caller: Owner, used: Used) -> AdapterDeleted:
    """Take an adapter out of service."""
    await _retire(used, caller, model)
    return AdapterDeleted(id=model)


async def _retire(used: Services, caller: Principal, model: str) -> None:
    adapter = await run_in_threadpool(used.catalogue.retire, caller.tenant_id, model)
    await used.catalogue.unload(adapter)


def _base(used: Services) -> Model:
    catalogue = used.catalogue
    return Model(id=catalogue.base_model, created=int(catalogue.started_at), owned_by="tunery")
