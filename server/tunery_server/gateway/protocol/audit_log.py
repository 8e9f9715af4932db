"""``/v1/organization/audit_logs``."""

from typing import Any, Literal

from pydantic import ConfigDict

from tunery_server.gateway.protocol.base import Answer, ListedBetween
from tunery_server.gateway.protocol.projects import RATE_LIMITS
from tunery_server.records.tenant_rows import AuditEntry


class AuditKey(Answer):
    """The key that was used. ``project_id`` is ours: whose key it is."""

    id: str
    type: Literal["service_account"] = "service_account"
    service_account: None = None
    user: None = None
    project_id: str


class AuditUser(Answer):
    """A user of the server's own machine, who ran a command there."""

    id: str
    email: None = None


class AuditSession(Answer):
    """A command on the server's own machine."""

    ip_address: None = None
    user: AuditUser


class AuditActor(Answer):
    """Who did it."""

    type: Literal["session", "api_key"]
    api_key: AuditKey | None
    session: AuditSession | None


class AuditProject(Answer):
    """Whose object it is."""

    id: str
    name: str


class AuditLogObject(Answer):
    """An entry. What was asked for stands under the name of its type, as OpenAI has it.

    ``object_id``, ``ip_address`` and ``request_id`` are ours.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str
    type: str
    effective_at: int
    actor: AuditActor
    project: AuditProject
    object_id: str
    ip_address: str | None
    request_id: str | None

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditLogObject":
        """From its record."""
        details: dict[str, Any] = {entry.type: {"id": entry.object_id, **_details(entry)}}
        return cls(
            id=entry.id,
            type=entry.type,
            effective_at=int(entry.created_at),
            actor=_actor(entry),
            project=AuditProject(id=entry.tenant_id, name=entry.tenant_id),
            object_id=entry.object_id,
            ip_address=entry.address or None,
            request_id=entry.request_id or None,
            **details,
        )


class AuditLogList(ListedBetween[AuditLogObject]):
    """A page of entries, newest first."""


def _details(entry: AuditEntry) -> dict[str, Any]:
    """With limits under the names that they were asked for by."""
    changes = entry.details.get("changes_requested")
    if entry.type != "rate_limit.updated" or changes is None:
        return entry.details
    renamed = {RATE_LIMITS.get(name, name): value for name, value in changes.items()}
    return {**entry.details, "changes_requested": renamed}


def _actor(entry: AuditEntry) -> AuditActor:
    if not entry.key_id:
        session = AuditSession(user=AuditUser(id=entry.user))
        return AuditActor(type="session", api_key=None, session=session)
    key = AuditKey(id=entry.key_id, project_id=entry.key_tenant_id)
    return AuditActor(type="api_key", api_key=key, session=None)
