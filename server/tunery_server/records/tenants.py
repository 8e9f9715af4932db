"""What each tenant may have of the workers and of the engine."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from tunery_server.config import Settings
from tunery_server.limits.contract import Limits
from tunery_server.records.audit import Deed, note
from tunery_server.records.database import Database
from tunery_server.records.known_tenants import name_tenant
from tunery_server.records.rights import require_admin
from tunery_server.records.tables import tenant_policies
from tunery_server.records.tenant_rows import TenantPolicy

_LIMITS = frozenset(asdict(Limits()))


class TenantPolicies:
    """Policies of all tenants. What is not set for one is as in ``default``."""

    def __init__(
        self,
        database: Database,
        default: TenantPolicy,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._default = default
        self._clock = clock

    def of(self, tenant_id: str) -> TenantPolicy:
        """The policy of a tenant, known or not."""
        query = select(tenant_policies).where(tenant_policies.c.tenant_id == tenant_id)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return self._policy(row or {"tenant_id": tenant_id})

    def list(self) -> tuple[TenantPolicy, ...]:
        """Those of tenants for which something was set, by name."""
        query = select(tenant_policies).order_by(tenant_policies.c.tenant_id)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(map(self._policy, rows))

    def set(self, tenant_id: str, **values: Any) -> TenantPolicy:
        """Set some of a tenant's values; the others stay as they are."""
        with self._database.writing() as connection:
            require_admin(connection)
            name_tenant(connection, tenant_id, self._clock())
            set_policy(connection, tenant_id, values)
        return self.of(tenant_id)

    def _policy(self, row: RowMapping | dict[str, Any]) -> TenantPolicy:
        default, chosen = self._default, {k: v for k, v in row.items() if v is not None}
        return TenantPolicy(
            tenant_id=row["tenant_id"],
            weight=chosen.get("weight", default.weight),
            max_running=chosen.get("max_running", default.max_running),
            max_waiting=chosen.get("max_waiting", default.max_waiting),
            preemptible=chosen.get("preemptible", default.preemptible),
            limits=Limits(
                **{name: chosen.get(name, value) for name, value in asdict(default.limits).items()}
            ),
            max_files=chosen.get("max_files", default.max_files),
            max_file_bytes=chosen.get("max_file_bytes", default.max_file_bytes),
            max_adapters=chosen.get("max_adapters", default.max_adapters),
            max_adapter_bytes=chosen.get("max_adapter_bytes", default.max_adapter_bytes),
        )


def set_policy(connection: Connection, tenant_id: str, values: Mapping[str, Any]) -> None:
    """Set some of a tenant's values, and write down that somebody did."""
    if not values:
        return
    this = tenant_policies.c.tenant_id == tenant_id
    if connection.execute(update(tenant_policies).where(this).values(**values)).rowcount == 0:
        connection.execute(insert(tenant_policies).values(tenant_id=tenant_id, **values))
    limits = {name: value for name, value in values.items() if name in _LIMITS}
    others = {name: value for name, value in values.items() if name not in _LIMITS}
    for type, changes in (("rate_limit.updated", limits), ("project.updated", others)):
        if changes:
            note(connection, Deed(type, tenant_id, tenant_id, {"changes_requested": changes}))


def default_policy(settings: Settings) -> TenantPolicy:
    """Of a tenant for which nothing was set."""
    return TenantPolicy(
        tenant_id="",
        max_running=settings.max_running_jobs,
        max_waiting=settings.max_waiting_jobs,
        max_files=settings.max_files_per_tenant,
        max_file_bytes=settings.max_file_bytes_per_tenant,
        max_adapters=settings.max_adapters_per_tenant,
        max_adapter_bytes=settings.max_adapter_bytes_per_tenant,
        limits=Limits(
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
            concurrent_requests=settings.concurrent_requests,
        ),
    )
