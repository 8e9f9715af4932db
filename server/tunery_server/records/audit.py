"""The audit log: who changed what, written together with the change, and never changed."""

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert

from tunery_server.ids import new_id
from tunery_server.records.actor import current_actor
from tunery_server.records.database import Database
from tunery_server.records.paging import all_of, page
from tunery_server.records.rows import Page
from tunery_server.records.tables import audit_log
from tunery_server.records.tenant_rows import AuditEntry


@dataclass(frozen=True, slots=True)
class Deed:
    """What is being done, such as ``file.deleted``, to which object of which tenant."""

    type: str
    tenant_id: str
    object_id: str
    details: dict[str, Any] = field(default_factory=dict)
    """What was asked for. Never a secret, and nothing that a prompt or a file holds."""


def noting(deed: Deed) -> Callable[[Connection], None]:
    """:func:`note` for whoever writes the rest."""
    return partial(note, deed=deed)


def note(connection: Connection, deed: Deed) -> None:
    """Write down a deed and whose it is.

    Belongs into the transaction that does it: then one is never without the other. What the server
    does by itself, such as dropping a file whose time is over, is not written.
    """
    actor = current_actor()
    if actor is None:
        return
    entry = AuditEntry(
        id=new_id("audit_log-"),
        type=deed.type,
        created_at=actor.clock(),
        tenant_id=deed.tenant_id,
        object_id=deed.object_id,
        details=deed.details,
        key_id=actor.key_id,
        key_tenant_id=actor.tenant_id,
        user=actor.user,
        address=actor.address,
        request_id=actor.request_id,
    )
    connection.execute(insert(audit_log).values(asdict(entry)))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """What to show. None is no condition; times are Unix seconds, whole ones from the wire."""

    types: Collection[str] | None = None
    tenants: Collection[str] | None = None
    actors: Collection[str] | None = None
    """Ids of keys, or users."""
    objects: Collection[str] | None = None
    since: float | None = None
    """The first moment that is shown."""
    until: float | None = None
    """The first moment that is not."""


class AuditRecords:
    """Everybody's entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(
        self,
        chosen: AuditFilter,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = 20,
    ) -> Page[AuditEntry]:
        """A page, newest first: what comes after one entry in that order, or right before one.

        Raises InvalidRequest when that one is not in the list.
        """
        query = all_of(audit_log).where(*_conditions(chosen))
        with self._database.reading() as connection:
            found = page(
                connection,
                query,
                audit_log,
                "id",
                after=after if before is None else before,
                limit=limit,
                ascending=before is not None,
                build=lambda row: AuditEntry(**row),
            )
        return found if before is None else Page(found.items[::-1], found.has_more)

    def forget(self, before: float) -> None:
        """Drop what is older than a moment."""
        with self._database.writing() as connection:
            connection.execute(delete(audit_log).where(audit_log.c.created_at < before))


def _conditions(chosen: AuditFilter) -> list[ColumnElement[bool]]:
    columns = audit_log.c
    conditions: list[ColumnElement[bool]] = []
    for column, values in (
        (columns.type, chosen.types),
        (columns.tenant_id, chosen.tenants),
        (columns.object_id, chosen.objects),
    ):
        if values is not None:
            conditions.append(column.in_(values))
    if chosen.actors is not None:
        named = [actor for actor in chosen.actors if actor]
        conditions.append(columns.key_id.in_(named) | columns.user.in_(named))
    if chosen.since is not None:
        conditions.append(columns.created_at >= chosen.since)
    if chosen.until is not None:
        conditions.append(columns.created_at < chosen.until)
    return conditions
