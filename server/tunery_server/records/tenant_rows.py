"""Rows of tenants and of what is done in them, as frozen data. Times are Unix seconds."""

from dataclasses import dataclass
from typing import Any

from tunery_server.limits.contract import UNLIMITED, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Whom files, jobs, adapters and keys belong to: a project, in OpenAI's words."""

    id: str
    name: str
    created_at: float
    archived_at: float | None = None
    """Since when its keys open nothing, and nothing of it is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """A machine's account in a tenant: what its keys have in common."""

    id: str
    tenant_id: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Somebody changed something. Who did it is a key, or a user of the server's machine."""

    id: str
    type: str
    created_at: float
    tenant_id: str
    """Whose object it is."""
    object_id: str
    details: dict[str, Any]
    """What was asked for, as far as it is no secret and no content."""
    key_id: str = ""
    key_tenant_id: str = ""
    user: str = ""
    address: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantPolicy:
    """What a tenant may have of the workers and of the engine."""

    tenant_id: str
    weight: float = 1.0
    """Its share of the workers' time, relative to other tenants'."""
    max_running: int = 0
    """Jobs at once; 0 is no bound."""
    max_waiting: int = 1000
    """Jobs that wait or are paused."""
    preemptible: bool = False
    """Whether a running job makes room for one of a higher priority."""
    limits: Limits = UNLIMITED
    """Of all its keys together."""
    max_files: int = 10_000
    max_file_bytes: int = 100 * 2**30
    """Of all its files together, pending uploads included."""
    max_adapters: int = 10_000
    max_adapter_bytes: int = 100 * 2**30
    """Of all its adapters together, for one more to be brought in."""
