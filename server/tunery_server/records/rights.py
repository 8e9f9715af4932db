"""What keys may do, and whether the one that asks for a change still may."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from tunery_server.errors import PermissionDenied, Unauthenticated
from tunery_server.records.actor import current_actor
from tunery_server.records.locks import Lock, hold
from tunery_server.records.tables import api_keys

INFERENCE, FILES, JOBS, ADAPTERS, ADMIN = "inference", "files", "jobs", "adapters", "admin"
TENANT_SCOPES = (INFERENCE, FILES, JOBS, ADAPTERS)
ALL_SCOPES = (*TENANT_SCOPES, ADMIN)


def require_admin(
    connection: Connection,
    granting: Collection[str] = (),
    *,
    until: float | None = float("-inf"),
) -> None:
    """Raises unless the key that asks is still an administrator's that may give such a key away.

    That is one with the scopes ``granting``, and, with the scope admin, an end no later than its
    own; ``until`` is that end, None for never. It is asked in the transaction of the change, so
    that a key that was revoked a moment ago leaves nothing behind. A command of the operator's and
    the server itself may do anything.
    """
    actor = current_actor()
    if actor is None or not actor.key_id:
        return
    hold(connection, Lock.ADMINISTER)
    query = select(api_keys).where(api_keys.c.id == actor.key_id).with_for_update()
    row = connection.execute(query).one()
    ends_at = float("inf") if row.expires_at is None else row.expires_at
    if row.revoked_at is not None or ends_at <= actor.clock():
        raise Unauthenticated("This key has ended.")
    for scope in (ADMIN, *granting):
        if scope not in row.scopes:
            raise PermissionDenied(f"This key lacks the scope {scope!r}.")
    if ADMIN in granting and (float("inf") if until is None else until) > ends_at:
        raise PermissionDenied("This key ends; an admin key that it makes has to end by then.")
