"""``/v1/fine_tuning/checkpoints/{model}/permissions``; names of models hold colons and slashes."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool

from tunery_server.gateway.auth import ADAPTERS, Principal
from tunery_server.gateway.deps import After, Used, scoped
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.protocol.permissions import (
    CreatePermissions,
    PermissionDeleted,
    PermissionList,
    PermissionObject,
)
from tunery_server.records.rows import Page

router = APIRouter(prefix="/v1/fine_tuning/checkpoints", tags=["fine-tuning"])

Owner = Annotated[Principal, Depends(scoped(ADAPTERS))]
Body = Annotated[CreatePermissions, Depends(json_body(CreatePermissions))]


@router.post("/{model:path}/permissions")
async def create(model: str, caller: Owner, body: Body, used: Used) -> PermissionList:
    """Let other tenants use an adapter by its model name."""
    made = await run_in_threadpool(
        used.permissions.create, caller.tenant_id, model, body.project_ids
    )
    return PermissionList.of(Page(made, has_more=False), PermissionObject.of)


@router.get("/{model:path}/permissions")
def list_permissions(
    model: str,
    caller: Owner,
    used: Used,
    after: After = None,
    limit: Annotated[int, Query(ge=0, le=100)] = 10,
    order: Literal["ascending", "descending"] = "descending",
    project_id: Annotated[str | None, Query(max_length=128)] = None,
) -> PermissionList:
    """Who may use an adapter, newest first."""
    page = used.permissions.list(
        caller.tenant_id,
        model,
        project_id=project_id,
        after=after,
        limit=limit,
        ascending=order == "ascending",
    )
    return PermissionList.of(page, PermissionObject.of)


@router.delete("/{model:path}/permissions/{permission_id}")
def delete(model: str, permission_id: str, caller: Owner, used: Used) -> PermissionDeleted:
    """Take a permission back."""
    used.permissions.delete(caller.tenant_id, model, permission_id)
    return PermissionDeleted(id=permission_id)
