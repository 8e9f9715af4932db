"""Which adapters stay in the engine, and how many of them may."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Select, func, select, update

from tunery_server.errors import QuotaExceeded
from tunery_server.records.adapters import adapter_of
from tunery_server.records.audit import Deed, note
from tunery_server.records.database import Database
from tunery_server.records.locks import Lock, hold
from tunery_server.records.paging import all_of
from tunery_server.records.rows import Adapter, AdapterStatus
from tunery_server.records.tables import adapters

_READY = adapters.c.status == AdapterStatus.READY


@dataclass(frozen=True, slots=True)
class PinQuota:
    """How many adapters one tenant may pin, and all of them together."""

    per_tenant: int
    together: int


class PinRecords:
    """Pins of all tenants."""

    def __init__(self, database: Database, quota: PinQuota) -> None:
        self._database = database
        self._quota = quota

    def set(self, adapter: Adapter, *, pinned: bool) -> Adapter:
        """Pin an adapter, or let it go. Raises QuotaExceeded."""
        change = update(adapters).where(adapters.c.model == adapter.model).values(pinned=pinned)
        deed = "adapter.pinned" if pinned else "adapter.unpinned"
        with self._database.writing() as connection:
            if pinned:
                self._require_room(connection, adapter)
            connection.execute(change)
            note(connection, Deed(deed, adapter.tenant_id, adapter.model))
        return replace(adapter, pinned=pinned)

    def pinned(self) -> tuple[Adapter, ...]:
        """What is ready and pinned, whoever owns it."""
        return self._found(all_of(adapters).where(_READY, adapters.c.pinned))

    def ready(self, models: Collection[str]) -> tuple[Adapter, ...]:
        """What of these is ready, whoever owns it."""
        return self._found(all_of(adapters).where(_READY, adapters.c.model.in_(models)))

    def _found(self, query: Select[Any]) -> tuple[Adapter, ...]:
        with self._database.reading() as connection:
            return tuple(map(adapter_of, connection.execute(query).mappings()))

    def _require_room(self, connection: Connection, adapter: Adapter) -> None:
        hold(connection, Lock.PIN)
        others = _READY & adapters.c.pinned & (adapters.c.model != adapter.model)
        query = select(func.count()).select_from(adapters).where(others)
        own = query.where(adapters.c.tenant_id == adapter.tenant_id)
        if connection.execute(own).scalar_one() >= self._quota.per_tenant:
            raise QuotaExceeded(f"You may pin {self._quota.per_tenant} adapters; unpin one first.")
        if connection.execute(query).scalar_one() >= self._quota.together:
            raise QuotaExceeded("All places for pinned adapters are taken by other tenants.")
