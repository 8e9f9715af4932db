"""What was used, for whoever may know it."""

from dataclasses import dataclass
from typing import Protocol

from tunery_server.errors import InvalidRequest
from tunery_server.records.quota import Kept
from tunery_server.records.tenant_rows import TenantPolicy
from tunery_server.records.usage_rows import UsageQuery, UsageRow
from tunery_server.serving.ledger import Ledger

MAX_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Storage:
    """What a tenant keeps, and what it may."""

    kept: Kept
    policy: TenantPolicy


class UsageLookup(Protocol):
    """The record, as far as reports need it."""

    def sums(self, asked: UsageQuery) -> tuple[UsageRow, ...]:
        """Sums as asked for, oldest first."""


class KeptLookup(Protocol):
    """How much tenants keep."""

    def kept(self, tenant_id: str) -> Kept:
        """By one tenant."""


class PolicyLookup(Protocol):
    """What tenants may have."""

    def of(self, tenant_id: str) -> TenantPolicy:
        """The policy of a tenant, known or not."""


class UsageReports:
    """Sums that hold all that this gateway has answered. Blocking."""

    def __init__(
        self, usage: UsageLookup, ledger: Ledger, kept: KeptLookup, policies: PolicyLookup
    ) -> None:
        self._usage = usage
        self._ledger = ledger
        self._kept = kept
        self._policies = policies

    def sums(self, asked: UsageQuery) -> tuple[UsageRow, ...]:
        """As the record's. Raises InvalidRequest when there are too many for one answer."""
        self._ledger.flush()
        rows = self._usage.sums(asked)
        if len(rows) > MAX_ROWS:
            raise InvalidRequest("The answer is too long: ask for fewer days or groups.")
        return rows

    def storage(self, tenant_id: str) -> Storage:
        """What a tenant keeps at this moment."""
        return Storage(self._kept.kept(tenant_id), self._policies.of(tenant_id))
