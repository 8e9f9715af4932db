"""Rows of tenants and of what is done in them, as frozen data. Times are Unix seconds."""

from dataclasses import dataclass
from typing import Any


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
