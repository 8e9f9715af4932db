"""What was used, for whoever may know it."""

from typing import Protocol

from tunery_server.errors import InvalidRequest
from tunery_server.records.usage_rows import UsageQuery, UsageRow
from tunery_server.serving.ledger import Ledger

MAX_ROWS = 50_000


class UsageLookup(Protocol):
    """The record, as far as reports need it."""

    def sums(self, asked: UsageQuery) -> tuple[UsageRow, ...]:
        """Sums as asked for, oldest first."""


class UsageReports:
    """Sums that hold all that this gateway has answered. Blocking."""

    def __init__(self, usage: UsageLookup, ledger: Ledger) -> None:
        self._usage = usage
        self._ledger = ledger

    def sums(self, asked: UsageQuery) -> tuple[UsageRow, ...]:
        """As the record's. Raises InvalidRequest when there are too many for one answer."""
        self._ledger.flush()
        rows = self._usage.sums(asked)
        if len(rows) > MAX_ROWS:
            raise InvalidRequest("The answer is too long: ask for fewer days or groups.")
        return rows
