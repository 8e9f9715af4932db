"""Adapter records: the registry of what may be served."""

from dataclasses import asdict
from functools import partial

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from tunery_adapters.manifest import Manifest
from tunery_server.records import idempotency
from tunery_server.records.audit import Deed, note, noting
from tunery_server.records.database import Database
from tunery_server.records.idempotency import Submission
from tunery_server.records.paging import all_of, page
from tunery_server.records.quota import AdapterQuota, require_adapter_room
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

    def add_once(
        self, adapter: Adapter, submission: Submission | None, quota: AdapterQuota
    ) -> Adapter:
        """Register an import; the adapter that stands, which a repeat was the first time.

        Raises QuotaExceeded.
        """
        statement, owner = insert(adapters).values(asdict(adapter)), adapter.tenant_id
        room = partial(require_adapter_room, tenant_id=owner, quota=quota, bytes=adapter.bytes)
        deed = Deed("adapter.created", owner, adapter.model)
        model = idempotency.add_once(
            self._database, statement, adapter.model, submission, room, noting(deed)
        )
        return (self.get(owner, model) or adapter) if model != adapter.model else adapter

    def made_by(self, tenant_id: str, submission: Submission | None) -> Adapter | None:
        """What an earlier sending of the same request made."""
        model = idempotency.made_by(self._database, submission)
        return self.get(tenant_id, model) if model is not None else None

    def require_room(self, tenant_id: str, quota: AdapterQuota) -> None:
        """Raises QuotaExceeded when the tenant may bring in no adapter at all."""
        with self._database.reading() as connection:
            require_adapter_room(connection, tenant_id, quota, bytes=0)

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
                build=adapter_of,
            )

    def retire(self, tenant_id: str, model: str, now: float) -> Adapter | None:
        """Stop serving a version, to whoever has a permission, too.

        None when this tenant has none ready by that name.
        """
        adapter = self.get(tenant_id, model)
        if adapter is None:
            return None
        change = (
            update(adapters)
            .where(adapters.c.model == model, adapters.c.tenant_id == tenant_id)
            .where(adapters.c.status == AdapterStatus.READY)
            .values(status=AdapterStatus.RETIRED, retired_at=now)
        )
        with self._database.writing() as connection:
            if connection.execute(change).rowcount == 0:
                return None
            connection.execute(delete(permissions).where(permissions.c.model == model))
            idempotency.forget(connection, model)
            note(connection, Deed("adapter.deleted", tenant_id, model))
        return adapter

    def leaving(self, before: float) -> tuple[Adapter, ...]:
        """What was retired before a Unix time and has its files still, whoever owned it."""
        query = all_of(adapters).where(
            adapters.c.status == AdapterStatus.RETIRED,
            adapters.c.removed_at.is_(None),
            func.coalesce(adapters.c.retired_at, 0.0) < before,
        )
        with self._database.reading() as connection:
            return tuple(map(adapter_of, connection.execute(query).mappings()))

    def removed(self, model: str, now: float) -> None:
        """Note that the files of a retired version are gone."""
        change = update(adapters).where(adapters.c.model == model).values(removed_at=now)
        with self._database.writing() as connection:
            connection.execute(change)

    def is_known(self, adapter_id: str) -> bool:
        """Whether there is a record, whatever its state."""
        query = select(adapters.c.model).where(adapters.c.adapter_id == adapter_id)
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def _ready(self, model: str, allowed: ColumnElement[bool]) -> Adapter | None:
        query = all_of(adapters).where(
            adapters.c.model == model, adapters.c.status == AdapterStatus.READY, allowed
        )
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return adapter_of(row) if row else None


def registered(manifest: Manifest) -> Adapter:
    """The record of a version that was published."""
    weights = max(manifest.files.values(), key=lambda record: record.bytes)
    return Adapter(
        model=manifest.model,
        adapter_id=manifest.adapter_id,
        version=manifest.version,
        tenant_id=manifest.tenant_id,
        base_model=manifest.base_model,
        job_id=manifest.job_id,
        parent=manifest.parent,
        step=manifest.step,
        rank=manifest.rank,
        alpha=manifest.alpha,
        target_modules=manifest.target_modules,
        bytes=weights.bytes,
        sha256=weights.sha256,
        created_at=manifest.created_at.timestamp(),
        metrics=dict(manifest.metrics),
    )


def register(connection: Connection, adapter: Adapter) -> None:
    """As :meth:`AdapterRecords.add`, in the transaction that writes what made the adapter."""
    query = all_of(adapters).where(adapters.c.model == adapter.model)
    if connection.execute(query).first() is None:
        connection.execute(insert(adapters).values(asdict(adapter)))


def adapter_of(row: RowMapping) -> Adapter:
    """A row of the table as it is used."""
    return Adapter(
        **{
            **row,
            "status": AdapterStatus(row["status"]),
            "target_modules": tuple(row["target_modules"]),
        }
    )
