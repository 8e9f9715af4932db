"""Tenants as records of their own: projects, in OpenAI's words."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, insert, select, update

from tunery_server.errors import InvalidRequest
from tunery_server.records.actor import current_actor
from tunery_server.records.audit import Deed, note, noting
from tunery_server.records.database import Database
from tunery_server.records.idempotency import Submission, add_once
from tunery_server.records.paging import all_of, page
from tunery_server.records.rights import require_admin
from tunery_server.records.rows import Page
from tunery_server.records.tables import tenants
from tunery_server.records.tenant_rows import Tenant
from tunery_server.records.tenants import set_policy


class ProjectRecords:
    """All tenants. A change asks whether whoever wants it may, and is written down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, tenant: Tenant, policy: Mapping[str, Any], submission: Submission | None = None
    ) -> str:
        """Store a new tenant with what it may have.

        The id of the one that stands, which a repeat of a request was the first time.
        """

        def check(connection: Connection) -> None:
            require_admin(connection)
            set_policy(connection, tenant.id, policy)

        deed = Deed("project.created", tenant.id, tenant.id, {"data": {"name": tenant.name}})
        statement = insert(tenants).values(asdict(tenant))
        return add_once(self._database, statement, tenant.id, submission, check, noting(deed))

    def get(self, tenant_id: str) -> Tenant | None:
        """One tenant, archived or not."""
        with self._database.reading() as connection:
            return _one(connection, tenant_id)

    def list(self, *, archived: bool, after: str | None, limit: int) -> Page[Tenant]:
        """One page, newest first; InvalidRequest when ``after`` is not in it."""
        query = all_of(tenants)
        if not archived:
            query = query.where(tenants.c.archived_at.is_(None))
        with self._database.reading() as connection:
            return page(
                connection,
                query,
                tenants,
                "id",
                after=after,
                limit=limit,
                ascending=False,
                build=lambda row: Tenant(**row),
            )

    def all(self) -> tuple[Tenant, ...]:
        """Every tenant by id, archived ones too."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tenants).order_by(tenants.c.id)).mappings().all()
        return tuple(Tenant(**row) for row in rows)

    def change(
        self, tenant_id: str, *, name: str | None = None, policy: Mapping[str, Any]
    ) -> Tenant | None:
        """Set a tenant's name and some of what it may have; None when there is no such tenant."""
        with self._database.writing() as connection:
            require_admin(connection)
            if _one(connection, tenant_id) is None:
                return None
            if name is not None:
                _set(connection, tenant_id, name=name)
                changes = {"changes_requested": {"name": name}}
                note(connection, Deed("project.updated", tenant_id, tenant_id, changes))
            set_policy(connection, tenant_id, policy)
            return _one(connection, tenant_id)

    def archive(self, tenant_id: str, *, now: float) -> Tenant | None:
        """Let a tenant's keys open nothing and start nothing of it; None when there is no such.

        One that is archived already stays as it is. Raises InvalidRequest for the tenant of the key
        that asks: somebody has to remain who may take it back.
        """
        actor = current_actor()
        with self._database.writing() as connection:
            require_admin(connection)
            known = _one(connection, tenant_id)
            if actor is not None and actor.tenant_id == tenant_id:
                raise InvalidRequest(
                    "The key that asks belongs to this project.",
                    code="project_in_use",
                    param="project_id",
                )
            if known is None or known.archived_at is not None:
                return known
            _set(connection, tenant_id, archived_at=now)
            note(connection, Deed("project.archived", tenant_id, tenant_id))
            return _one(connection, tenant_id)

    def restore(self, tenant_id: str) -> Tenant | None:
        """Take an archival back: keys that have not ended open again, jobs go on waiting."""
        with self._database.writing() as connection:
            require_admin(connection)
            known = _one(connection, tenant_id)
            if known is None or known.archived_at is None:
                return known
            _set(connection, tenant_id, archived_at=None)
            note(connection, Deed("project.restored", tenant_id, tenant_id))
            return _one(connection, tenant_id)


def _one(connection: Connection, tenant_id: str) -> Tenant | None:
    query = select(tenants).where(tenants.c.id == tenant_id).with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    return Tenant(**row) if row else None


def _set(connection: Connection, tenant_id: str, **values: Any) -> None:
    connection.execute(update(tenants).where(tenants.c.id == tenant_id).values(**values))
