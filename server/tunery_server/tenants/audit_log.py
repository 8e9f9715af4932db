"""The audit log as administrators read it, and for how long it is kept."""

from collections.abc import Callable

from tunery_server.records.audit import AuditFilter, AuditRecords
from tunery_server.records.rows import Page
from tunery_server.records.tenant_rows import AuditEntry

_DAY_S = 86_400.0


class AuditLog:
    """Who changed what. Blocking."""

    def __init__(
        self, *, records: AuditRecords, kept_days: int, clock: Callable[[], float]
    ) -> None:
        self._records = records
        self._kept_days = kept_days
        self._clock = clock

    def list(
        self, chosen: AuditFilter, *, after: str | None, before: str | None, limit: int
    ) -> Page[AuditEntry]:
        """Newest first. Raises InvalidRequest when a cursor is not in the list."""
        return self._records.list(chosen, after=after, before=before, limit=limit)

    def sweep(self) -> None:
        """Drop what is older than the setting says."""
        self._records.forget(self._clock() - self._kept_days * _DAY_S)
