"""Adapter records: the registry of what may be served."""

from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, exists, insert, or_, update

from tunery_server.records.database import Database
from tunery_server.records.paging import all_of, page
from tunery_server.records.rows import Adapter, AdapterStatus, Page
from tunery_server.records.tables import adapters, permissions


class AdapterRecords:
    """Adapter versions of all tenants; every look-up names the tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, adapter: Adapter) -> None:
        """Register a published version; does nothing when the same one is registered already."""
        with self._database.writing() as connection:
            register(connection, adapter)

    def get(self, tenant_id: str, model: str) -> Adapter | None:
        """A version of the tenant's own that is ready, or None."""
        return self._ready(model, adapters.c.tenant_id == tenant_id)

    def usable(self, tenant_id: str, model: str) -> Adapter | None:
        """A version that is ready and that the tenant owns, or has a permission for; or None."""
        permitted = exists().where(
            permissions.c.model == adapters.c.model, permissions.c.project_id == tenant_id
        )
        return self._ready(model, or_(adapters.c.tenant_id == tenant_id, permitted))

    def list(
        self, tenant_id: str, *, after: str | None = None, limit: int = 10_000
    ) -> Page[Adapter]:
        """One page of what is ready, newest first; InvalidRequest when ``after`` is not in it."""
        query = all_of(adapters).where(
            adapters.c.tenant_id == tenant_id, adapters.c.status == AdapterStatus.READY
        )
        with self._database.reading() as connection:
            return page(
                connection,
                query,
                adapters,
                "adapter_id",
                after=after,
                limit=limit,
                ascending=False,
                build=_adapter,
            )

    def retire(self, tenant_id: str, model: str) -> Adapter | None:
        """Stop serving a version, to whoever has a permission, too.

        None when this tenant has none ready by that name.
        """
        adapter = self.get(tenant_id, model)
        if adapter is None:
            return None
        change = (
            update(adapters)
            .where(adapters.c.model == model, adapters.c.tenant_id == tenant_id)
            .values(status=AdapterStatus.RETIRED)
        )
        with self._database.writing() as connection:
            connection.execute(change)
            connection.execute(delete(permissions).where(permissions.c.model == model))
        return adapter

    def _ready(self, model: str, allowed: ColumnElement[bool]) -> Adapter | None:
        query = all_of(adapters).where(
            adapters.c.model == model, adapters.c.status == AdapterStatus.READY, allowed
        )
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return _adapter(row) if row else None


def register(connection: Connection, adapter: Adapter) -> None:
    """As :meth:`AdapterRecords.add`, in the transaction that writes what made the adapter."""
    query = all_of(adapters).where(adapters.c.model == adapter.model)
    if connection.execute(query).first() is None:
        connection.execute(insert(adapters).values(asdict(adapter)))


def _adapter(row: RowMapping) -> Adapter:
    return Adapter(
        **{
            **row,
            "status": AdapterStatus(row["status"]),
            "target_modules": tuple(row["target_modules"]),
        }
    )
