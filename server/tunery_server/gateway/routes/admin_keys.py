"""``/v1/organization/admin_api_keys``."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool

from tunery_server.gateway.auth import ADMIN, Principal
from tunery_server.gateway.deps import After, Used, scoped
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.protocol.keys import (
    AdminKeyDeleted,
    AdminKeyList,
    AdminKeyObject,
    AdminKeyWithValue,
    CreateAdminKey,
)

router = APIRouter(prefix="/v1/organization/admin_api_keys", tags=["administration"])

Admin = Annotated[Principal, Depends(scoped(ADMIN))]
Body = Annotated[CreateAdminKey, Depends(json_body(CreateAdminKey))]


@router.post("")
async def create(admin: Admin, body: Body, used: Used) -> AdminKeyWithValue:
    """Make an admin key of the asking key's project. Its value is in this answer and no other."""
    made = await run_in_threadpool(
        used.administration.administrators.create, admin.tenant_id, body.wanted(), admin.scopes
    )
    return AdminKeyWithValue.made(made)


@router.get("")
def list_keys(
    admin: Admin,
    used: Used,
    after: After = None,
    limit: Annotated[int, Query(ge=0, le=100)] = 20,
    order: Literal["asc", "desc"] = "asc",
) -> AdminKeyList:
    """All admin keys, oldest first."""
    page = used.administration.administrators.list(
        after=after, limit=limit, ascending=order == "asc"
    )
    return AdminKeyList.of(page, AdminKeyObject.of)


@router.get("/{key_id}")
def retrieve(key_id: str, admin: Admin, used: Used) -> AdminKeyObject:
    """One admin key, less its value."""
    return AdminKeyObject.of(used.administration.administrators.get(key_id))


@router.delete("/{key_id}")
def delete(key_id: str, admin: Admin, used: Used) -> AdminKeyDeleted:
    """End an admin key within five seconds; the one that asks does not end itself."""
    used.administration.administrators.delete(key_id)
    return AdminKeyDeleted(id=key_id)
