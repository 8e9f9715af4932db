"""``/v1/organization/projects``: tenants, as OpenAI's administration API has them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool

from tunery_server.errors import NotFound
from tunery_server.gateway.auth import ADMIN, Principal
from tunery_server.gateway.deps import After, Sent, Services, Used, scoped
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.protocol.projects import (
    RATE_LIMIT_ID,
    CreateProject,
    ProjectList,
    ProjectObject,
    RateLimitList,
    RateLimitObject,
    UpdateProject,
    UpdateRateLimit,
)
from tunery_server.records.paging import unknown_cursor

router = APIRouter(prefix="/v1/organization/projects", tags=["administration"])

Admin = Annotated[Principal, Depends(scoped(ADMIN))]
Body = Annotated[CreateProject, Depends(json_body(CreateProject))]
Changes = Annotated[UpdateProject, Depends(json_body(UpdateProject))]
NewLimits = Annotated[UpdateRateLimit, Depends(json_body(UpdateRateLimit))]
Limit = Annotated[int, Query(ge=0, le=100)]


@router.post("")
async def create(admin: Admin, body: Body, used: Used, sending: Sent) -> ProjectObject:
    """Make a project."""
    project = await run_in_threadpool(
        used.administration.projects.create,
        body.name,
        body.policy(),
        asked_by=admin.tenant_id,
        sending=sending,
    )
    return ProjectObject.of(project)


@router.get("")
def list_projects(
    admin: Admin,
    used: Used,
    after: After = None,
    limit: Limit = 20,
    include_archived: bool = False,
) -> ProjectList:
    """All projects, newest first."""
    page = used.administration.projects.list(archived=include_archived, after=after, limit=limit)
    return ProjectList.of(page, ProjectObject.of)


@router.get("/{project_id}")
def retrieve(project_id: str, admin: Admin, used: Used) -> ProjectObject:
    """One project."""
    return ProjectObject.of(used.administration.projects.get(project_id))


@router.post("/{project_id}")
async def update(project_id: str, admin: Admin, body: Changes, used: Used) -> ProjectObject:
    """Change a project's name, or what it may have."""
    project = await run_in_threadpool(
        used.administration.projects.update, project_id, body.name, body.policy()
    )
    return ProjectObject.of(project)


@router.post("/{project_id}/archive")
def archive(project_id: str, admin: Admin, used: Used) -> ProjectObject:
    """End a project's keys within five seconds, and start none of its jobs; its data stays."""
    return ProjectObject.of(used.administration.projects.archive(project_id))


@router.get("/{project_id}/rate_limits")
def list_rate_limits(
    project_id: str,
    admin: Admin,
    used: Used,
    after: After = None,
    before: After = None,
    limit: Limit = 100,
) -> RateLimitList:
    """A project's limits on inference: one set, for all models."""
    standing = _limits(used, project_id)
    cursors = [cursor for cursor in (after, before) if cursor is not None]
    if any(cursor != RATE_LIMIT_ID for cursor in cursors):
        raise unknown_cursor()
    shown = () if cursors or not limit else (standing,)
    end = RATE_LIMIT_ID if shown else None
    return RateLimitList(data=shown, first_id=end, last_id=end)


@router.post("/{project_id}/rate_limits/{rate_limit_id}")
async def update_rate_limit(
    project_id: str, rate_limit_id: str, admin: Admin, body: NewLimits, used: Used
) -> RateLimitObject:
    """Change a project's limits; that holds within five seconds."""
    if rate_limit_id != RATE_LIMIT_ID:
        raise NotFound(f"No rate limit with id {rate_limit_id[:200]!r}.", param="rate_limit_id")
    await run_in_threadpool(used.administration.projects.update, project_id, None, body.policy())
    return await run_in_threadpool(_limits, used, project_id)


def _limits(used: Services, project_id: str) -> RateLimitObject:
    return RateLimitObject.of(used.administration.projects.get(project_id).policy.limits)
