"""``/v1/aliases``: names that a tenant moves from one adapter to the next."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool

from tunery_server.gateway.auth import ADAPTERS, Principal
from tunery_server.gateway.deps import After, Used, scoped
from tunery_server.gateway.disconnect import until_gone
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.protocol.aliases import (
    AliasDeleted,
    AliasList,
    AliasObject,
    CreateAlias,
    MoveAlias,
    RollBackAlias,
)
from tunery_server.serving.aliases import Mover

router = APIRouter(prefix="/v1/aliases", tags=["aliases"])

Owner = Annotated[Principal, Depends(scoped(ADAPTERS))]
Limit = Annotated[int, Query(ge=1, le=100)]


@router.post("")
async def create(
    caller: Owner, body: Annotated[CreateAlias, Depends(json_body(CreateAlias))], used: Used
) -> AliasObject:
    """Give an adapter a name of your own."""
    await used.preload.models(caller.tenant_id, body.routes().models)
    made = await run_in_threadpool(used.aliases.create, _mover(caller), body.name, body.routes())
    return AliasObject.of(made)


@router.get("")
def list_aliases(caller: Owner, used: Used, after: After = None, limit: Limit = 20) -> AliasList:
    """The caller's aliases, last moved first."""
    page = used.aliases.list(caller.tenant_id, after=after, limit=limit)
    return AliasList.of(page, AliasObject.of)


@router.get("/{alias}")
def retrieve(alias: str, caller: Owner, used: Used) -> AliasObject:
    """What an alias means."""
    return AliasObject.of(used.aliases.get(caller.tenant_id, alias))


@router.get("/{alias}/revisions")
def revisions(
    alias: str,
    caller: Owner,
    used: Used,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Limit = 20,
) -> AliasList:
    """What it meant, newest first."""
    page = used.aliases.history(caller.tenant_id, alias, before=before, limit=limit)
    return AliasList.of(page, AliasObject.of)


@router.post("/{alias}")
async def move(
    request: Request,
    alias: str,
    caller: Owner,
    body: Annotated[MoveAlias, Depends(json_body(MoveAlias))],
    used: Used,
) -> AliasObject:
    """Let it lead elsewhere, for every request from now on."""
    await used.preload.models(caller.tenant_id, body.routes().models)
    gate = body.gate.gate() if body.gate else None
    moving = used.promotion.move(_mover(caller), alias, body.routes(), body.revision, gate)
    return AliasObject.of(await until_gone(request.receive, moving))


@router.post("/{alias}/rollback")
async def roll_back(
    alias: str,
    caller: Owner,
    body: Annotated[RollBackAlias, Depends(json_body(RollBackAlias))],
    used: Used,
) -> AliasObject:
    """Let it lead where it led before."""
    made = await run_in_threadpool(used.aliases.roll_back, _mover(caller), alias, body.revision)
    return AliasObject.of(made)


@router.delete("/{alias}")
def delete(alias: str, caller: Owner, used: Used) -> AliasDeleted:
    """Take the name away."""
    used.aliases.delete(_mover(caller), alias)
    return AliasDeleted(id=alias)


def _mover(caller: Principal) -> Mover:
    return Mover(caller.tenant_id, caller.key_id)
