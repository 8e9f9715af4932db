"""``/v1/organization/audit_logs``: who changed what."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from tunery_server.errors import InvalidRequest
from tunery_server.gateway.auth import ADMIN, Principal
from tunery_server.gateway.deps import After, Used, scoped
from tunery_server.gateway.protocol.audit_log import AuditLogList, AuditLogObject
from tunery_server.records.audit import AuditFilter

router = APIRouter(prefix="/v1/organization/audit_logs", tags=["administration"])

Admin = Annotated[Principal, Depends(scoped(ADMIN))]
_Text = Annotated[str, Query(max_length=256, pattern=r"^[^\u0000]*$")]


def _chosen(
    event_types: Annotated[list[_Text] | None, Query(alias="event_types[]", max_length=100)] = None,
    project_ids: Annotated[list[_Text] | None, Query(alias="project_ids[]", max_length=100)] = None,
    actor_ids: Annotated[list[_Text] | None, Query(alias="actor_ids[]", max_length=100)] = None,
    actor_emails: Annotated[
        list[_Text] | None, Query(alias="actor_emails[]", max_length=100)
    ] = None,
    resource_ids: Annotated[
        list[_Text] | None, Query(alias="resource_ids[]", max_length=100)
    ] = None,
    gt: Annotated[int | None, Query(alias="effective_at[gt]", ge=0, le=2**33)] = None,
    gte: Annotated[int | None, Query(alias="effective_at[gte]", ge=0, le=2**33)] = None,
    lt: Annotated[int | None, Query(alias="effective_at[lt]", ge=0, le=2**33)] = None,
    lte: Annotated[int | None, Query(alias="effective_at[lte]", ge=0, le=2**33)] = None,
) -> AuditFilter:
    """What to show. Nobody here has an e-mail address."""
    since = [moment for moment in (gte, None if gt is None else gt + 1) if moment is not None]
    until = [moment for moment in (lt, None if lte is None else lte + 1) if moment is not None]
    return AuditFilter(
        types=event_types,
        tenants=project_ids,
        actors=actor_ids if actor_emails is None else (),
        objects=resource_ids,
        since=max(since, default=None),
        until=min(until, default=None),
    )


@router.get("")
def list_entries(
    admin: Admin,
    used: Used,
    chosen: Annotated[AuditFilter, Depends(_chosen)],
    after: After = None,
    before: After = None,
    limit: Annotated[int, Query(ge=0, le=100)] = 20,
    tenant_only: bool = False,
) -> AuditLogList:
    """Entries, newest first. There are none of what OpenAI calls tenants, above organizations."""
    if after is not None and before is not None:
        raise InvalidRequest("after and before exclude each other.", param="before")
    page = used.administration.audit_log.list(
        chosen, after=after, before=before, limit=0 if tenant_only else limit
    )
    return AuditLogList.of(page, AuditLogObject.of)
