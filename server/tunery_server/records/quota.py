"""How much a tenant may keep, counted in the transaction that adds to it."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, select

from tunery_server.errors import QuotaExceeded
from tunery_server.records.database import Database
from tunery_server.records.rows import WAITING, UploadStatus
from tunery_server.records.tables import adapters, files, jobs, tenants, uploads


@dataclass(frozen=True, slots=True)
class Quota:
    """Of one tenant. A pending upload counts as the file that it is going to be."""

    files: int
    bytes: int
    pending_uploads: int


@dataclass(frozen=True, slots=True)
class AdapterQuota:
    """What one tenant may bring in; a job's adapters count, and are never refused."""

    adapters: int
    bytes: int


def require_adapter_room(
    connection: Connection, tenant_id: str, quota: AdapterQuota, *, bytes: int
) -> None:
    """Raises QuotaExceeded unless the tenant may bring in one more adapter of so many bytes."""
    _one_at_a_time(connection, tenant_id)
    kept, kept_bytes = _adapters(connection, tenant_id)
    if kept >= quota.adapters:
        raise QuotaExceeded(f"You may keep {quota.adapters} adapters; delete one first.")
    if kept_bytes + bytes > quota.bytes:
        raise QuotaExceeded(f"You may keep {quota.bytes} bytes of adapters; delete some first.")


QuotaOf = Callable[[str], Quota]
"""A tenant's, by its id."""

AdapterQuotaOf = Callable[[str], AdapterQuota]
"""A tenant's, by its id."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a tenant keeps: files with pending uploads, and adapters until their files go."""

    files: int
    file_bytes: int
    adapters: int
    adapter_bytes: int


class StorageRecords:
    """How much tenants keep, by the same count that refuses them more."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def kept(self, tenant_id: str) -> Kept:
        """By one tenant."""
        with self._database.reading() as connection:
            return Kept(*_files(connection, tenant_id), *_adapters(connection, tenant_id))


def require_room(connection: Connection, tenant_id: str, quota: Quota, *, bytes: int) -> None:
    """Raises QuotaExceeded unless the tenant may keep one more file of so many bytes."""
    _one_at_a_time(connection, tenant_id)
    kept, kept_bytes = _files(connection, tenant_id)
    if kept >= quota.files:
        raise QuotaExceeded(f"You may keep {quota.files} files; delete one first.")
    if kept_bytes + bytes > quota.bytes:
        raise QuotaExceeded(f"You may keep {quota.bytes} bytes of files; delete some first.")


def require_place(connection: Connection, tenant_id: str, quota: Quota) -> None:
    """Raises QuotaExceeded unless the tenant may begin one more upload in parts."""
    _one_at_a_time(connection, tenant_id)
    if _pending(connection, tenant_id)[0] >= quota.pending_uploads:
        raise QuotaExceeded(
            f"You may have {quota.pending_uploads} pending uploads; complete or cancel one first."
        )


def require_turn(connection: Connection, tenant_id: str, max_waiting: int) -> None:
    """Raises QuotaExceeded unless one more job of the tenant may wait."""
    _one_at_a_time(connection, tenant_id)
    mine, waiting = jobs.c.tenant_id == tenant_id, jobs.c.status.in_(WAITING)
    query = select(func.count()).select_from(jobs).where(mine, waiting)
    if connection.execute(query).scalar_one() >= max_waiting:
        raise QuotaExceeded(
            f"You may have {max_waiting} jobs that wait or are paused; "
            "let one start or cancel one first.",
            code="rate_limit_exceeded",
        )


def _files(connection: Connection, tenant_id: str) -> tuple[int, int]:
    kept, kept_bytes = _totals(connection, files, files.c.tenant_id == tenant_id)
    coming, coming_bytes = _pending(connection, tenant_id)
    return kept + coming, kept_bytes + coming_bytes


def _adapters(connection: Connection, tenant_id: str) -> tuple[int, int]:
    mine, there = adapters.c.tenant_id == tenant_id, adapters.c.removed_at.is_(None)
    return _totals(connection, adapters, mine & there)


def _pending(connection: Connection, tenant_id: str) -> tuple[int, int]:
    mine, pending = uploads.c.tenant_id == tenant_id, uploads.c.status == UploadStatus.PENDING
    return _totals(connection, uploads, mine & pending)


def _totals(connection: Connection, table: Table, condition: object) -> tuple[int, int]:
    query = select(func.count(), func.coalesce(func.sum(table.c.bytes), 0)).where(condition)  # type: ignore[arg-type]
    count, total = connection.execute(query.select_from(table)).one()
    return count, total


def _one_at_a_time(connection: Connection, tenant_id: str) -> None:
    """Let no two transactions of a tenant count at once; in SQLite a writer is alone anyway."""
    tenant = select(tenants.c.id).where(tenants.c.id == tenant_id)
    connection.execute(tenant.with_for_update(key_share=True)).all()
