"""What was used, for whoever may know it."""

from collections.abc import Collection, Sequence
from typing import Protocol

from tunery_server.errors import InvalidRequest
from tunery_server.records.usage_rows import UsageRow
from tunery_server.serving.ledger import Ledger

MAX_ROWS = 50_000


class UsageLookup(Protocol):
    """The record, as far as reports need it."""

    def sums(
        self,
        *,
        start: int,
        end: int,
        width_s: int,
        by: Sequence[str],
        tenants: Collection[str] | None,
        keys: Collection[str] | None,
        models: Collection[str] | None,
        background: bool | None,
    ) -> tuple[UsageRow, ...]:
        """Sums over periods of ``width_s`` from ``start`` up to ``end``, oldest first."""


class UsageReports:
    """Sums that hold all that this gateway has answered. Blocking."""

    def __init__(self, usage: UsageLookup, ledger: Ledger) -> None:
        self._usage = usage
        self._ledger = ledger

    def sums(
        self,
        *,
        start: int,
        end: int,
        width_s: int,
        by: Sequence[str] = (),
        tenants: Collection[str] | None = None,
        keys: Collection[str] | None = None,
        models: Collection[str] | None = None,
        background: bool | None = None,
    ) -> tuple[UsageRow, ...]:
        """As the record's. Raises InvalidRequest when there are too many for one answer."""
        self._ledger.flush()
        rows = self._usage.sums(
            start=start,
            end=end,
            width_s=width_s,
            by=by,
            tenants=tenants,
            keys=keys,
            models=models,
            background=background,
        )
        if len(rows) > MAX_ROWS:
            raise InvalidRequest("The answer is too long: ask for fewer days or groups.")
        return rows
