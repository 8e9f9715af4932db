"""Permissions: which other tenants may use an adapter."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from tunery_server.records.audit import Deed, note
from tunery_server.records.database import Database
from tunery_server.records.paging import all_of, page
from tunery_server.records.rows import Page, Permission
from tunery_server.records.tables import permissions

_ROUNDS = 5


class PermissionRecords:
    """Permissions of all adapters. The caller has checked whose adapter it is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, tenant_id: str, wanted: Sequence[Permission]) -> tuple[Permission, ...]:
        """Store those that are new; the permissions that stand, in the order of ``wanted``.

        All are for one adapter, which is ``tenant_id``'s.
        """
        for _ in range(_ROUNDS - 1):
            try:
                return self._add(tenant_id, wanted)
            except IntegrityError:
                continue  # another request wrote one of them in between
        return self._add(tenant_id, wanted)

    def list(
        self,
        model: str,
        *,
        project_id: str | None = None,
        after: str | None = None,
        limit: int = 10,
        ascending: bool = False,
    ) -> Page[Permission]:
        """One page; InvalidRequest when ``after`` is not in it."""
        query = all_of(permissions).where(permissions.c.model == model)
        if project_id is not None:
            query = query.where(permissions.c.project_id == project_id)
        with self._database.reading() as connection:
            return page(
                connection,
                query,
                permissions,
                "id",
                after=after,
                limit=limit,
                ascending=ascending,
                build=lambda row: Permission(**row),
            )

    def delete(self, tenant_id: str, model: str, permission_id: str) -> bool:
        """True when there was such a permission. ``tenant_id`` is the adapter's."""
        change = delete(permissions).where(
            permissions.c.model == model, permissions.c.id == permission_id
        )
        with self._database.writing() as connection:
            deleted = connection.execute(change).rowcount == 1
            if deleted:
                note(connection, Deed("checkpoint.permission.deleted", tenant_id, permission_id))
        return deleted

    def _add(self, tenant_id: str, wanted: Sequence[Permission]) -> tuple[Permission, ...]:
        standing: dict[str, Permission] = {}
        with self._database.writing() as connection:
            # In one order for everybody: two requests that wait for each other would wait forever.
            for permission in sorted(wanted, key=lambda permission: permission.project_id):
                same = select(permissions).where(
                    permissions.c.model == permission.model,
                    permissions.c.project_id == permission.project_id,
                )
                row = connection.execute(same).mappings().one_or_none()
                if row is None:
                    connection.execute(insert(permissions).values(asdict(permission)))
                    note(connection, _granted(tenant_id, permission))
                standing[permission.project_id] = Permission(**row) if row else permission
        return tuple(standing[permission.project_id] for permission in wanted)


def _granted(tenant_id: str, permission: Permission) -> Deed:
    details = {"model": permission.model, "project_id": permission.project_id}
    return Deed("checkpoint.permission.created", tenant_id, permission.id, details)
