"""Service accounts and API keys of a project, as OpenAI's administration API has them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool

from tunery_server.errors import InvalidRequest
from tunery_server.gateway.auth import ADMIN, Principal
from tunery_server.gateway.deps import After, Sent, Used, scoped
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.protocol.keys import (
    ApiKeyDeleted,
    ApiKeyList,
    ApiKeyObject,
    CreateServiceAccount,
    CreateServiceAccountKey,
    NewServiceAccount,
    RotateKey,
    ServiceAccountDeleted,
    ServiceAccountKey,
    ServiceAccountList,
    ServiceAccountObject,
)

router = APIRouter(prefix="/v1/organization/projects/{project_id}", tags=["administration"])

Admin = Annotated[Principal, Depends(scoped(ADMIN))]
Body = Annotated[CreateServiceAccount, Depends(json_body(CreateServiceAccount))]
KeyBody = Annotated[CreateServiceAccountKey, Depends(json_body(CreateServiceAccountKey))]
Rotation = Annotated[RotateKey, Depends(json_body(RotateKey))]
Limit = Annotated[int, Query(ge=0, le=100)]


@router.post("/service_accounts")
async def create(
    project_id: str, admin: Admin, body: Body, used: Used, sending: Sent
) -> NewServiceAccount:
    """Make an account with a key, whose value is in this answer and in no other."""
    alone = bool(body.create_service_account_only)
    if alone and body.expires_in_seconds is not None:
        raise InvalidRequest("There is no key that could expire.", param="expires_in_seconds")
    account, key = await run_in_threadpool(
        used.administration.accounts.create,
        project_id,
        body.name,
        None if alone else body.wanted(body.name),
        admin.scopes,
        asked_by=admin.tenant_id,
        sending=sending,
    )
    return NewServiceAccount.of(account, key)


@router.get("/service_accounts")
def list_accounts(
    project_id: str, admin: Admin, used: Used, after: After = None, limit: Limit = 20
) -> ServiceAccountList:
    """A project's accounts, newest first."""
    page = used.administration.accounts.list(project_id, after=after, limit=limit)
    return ServiceAccountList.of(page, ServiceAccountObject.of)


@router.get("/service_accounts/{account_id}")
def retrieve(project_id: str, account_id: str, admin: Admin, used: Used) -> ServiceAccountObject:
    """One account."""
    return ServiceAccountObject.of(used.administration.accounts.get(project_id, account_id))


@router.delete("/service_accounts/{account_id}")
def delete(project_id: str, account_id: str, admin: Admin, used: Used) -> ServiceAccountDeleted:
    """Forget an account; its keys end within five seconds."""
    used.administration.accounts.delete(project_id, account_id)
    return ServiceAccountDeleted(id=account_id)


@router.post("/service_accounts/{account_id}/api_keys")
async def create_key(
    project_id: str, account_id: str, admin: Admin, body: KeyBody, used: Used
) -> ServiceAccountKey:
    """Make another key of an account. Its value is in this answer and in no other."""
    made = await run_in_threadpool(
        used.administration.accounts.create_key,
        project_id,
        account_id,
        body.wanted(body.name or "api key"),
        admin.scopes,
    )
    return ServiceAccountKey.of(made)


@router.get("/api_keys")
def list_keys(
    project_id: str,
    admin: Admin,
    used: Used,
    after: After = None,
    limit: Limit = 20,
    owner_project_access: Literal["active", "inactive", "any"] = "any",
) -> ApiKeyList:
    """A project's keys, newest first; every owner has access to its project."""
    accounts = used.administration.accounts
    shown = 0 if owner_project_access == "inactive" else limit
    page = accounts.keys(project_id, after=after, limit=shown)
    return ApiKeyList.of(page, lambda key: ApiKeyObject.of(key, accounts.owner(key)))


@router.get("/api_keys/{key_id}")
def retrieve_key(project_id: str, key_id: str, admin: Admin, used: Used) -> ApiKeyObject:
    """One key, less its value."""
    key = used.administration.accounts.key(project_id, key_id)
    return ApiKeyObject.of(key, used.administration.accounts.owner(key))


@router.delete("/api_keys/{key_id}")
def delete_key(project_id: str, key_id: str, admin: Admin, used: Used) -> ApiKeyDeleted:
    """End a key within five seconds."""
    used.administration.accounts.delete_key(project_id, key_id)
    return ApiKeyDeleted(id=key_id)


@router.post("/api_keys/{key_id}/rotate")
async def rotate_key(
    project_id: str, key_id: str, admin: Admin, body: Rotation, used: Used
) -> ServiceAccountKey:
    """Make a key with the same rights, and let this one end after an overlap."""
    made = await run_in_threadpool(
        used.administration.accounts.rotate, project_id, key_id, body.overlap_seconds
    )
    return ServiceAccountKey.of(made)
