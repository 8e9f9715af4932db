"""Which tenants there are, and which of them are archived."""

from typing import Any

from sqlalchemy import Connection, Select, select
from sqlalchemy.dialects import postgresql, sqlite

from tunery_server.errors import InvalidRequest
from tunery_server.records.tables import tenants

_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
"""Both have ON CONFLICT, each with a type of its own."""


def name_tenant(connection: Connection, tenant_id: str, now: float) -> None:
    """Make a tenant that is named for the first time; its name is its id."""
    values = {"id": tenant_id, "name": tenant_id, "created_at": now}
    adding = _INSERTS[connection.dialect.name](tenants).values(values)
    connection.execute(adding.on_conflict_do_nothing())


def require_active(connection: Connection, tenant_id: str) -> None:
    """Raises InvalidRequest when the tenant is archived, which nobody changes meanwhile."""
    query = select(tenants.c.archived_at).where(tenants.c.id == tenant_id).with_for_update()
    if connection.execute(query).scalar_one_or_none() is not None:
        raise InvalidRequest(
            "The project is archived.", code="project_archived", param="project_id"
        )


def archived() -> Select[tuple[str]]:
    """Ids of the tenants of which nothing is started."""
    return select(tenants.c.id).where(tenants.c.archived_at.is_not(None))
