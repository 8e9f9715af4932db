"""Aliases: names that point to adapters, one immutable revision after another."""

from dataclasses import asdict

from sqlalchemy import RowMapping, Select, func, insert, or_, select
from sqlalchemy.exc import IntegrityError

from tunery_server.records.audit import Deed, note
from tunery_server.records.database import Database
from tunery_server.records.paging import page
from tunery_server.records.rows import AliasRevision, Page
from tunery_server.records.tables import alias_revisions as revisions


class AliasRecords:
    """Revisions of all tenants' aliases. The newest one of a name is what it means.

    A move is one insert of the next number, so that of two at once one comes too late, and nobody
    sees half of one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, revision: AliasRevision) -> bool:
        """Store the next revision. False when there is one by that number already."""
        try:
            with self._database.writing() as connection:
                connection.execute(insert(revisions).values(asdict(revision)))
                note(connection, _deed(revision))
        except IntegrityError:
            return False
        return True

    def newest(self, tenant_id: str, name: str) -> AliasRevision | None:
        """What the name means, or that it was deleted; None for one that never was."""
        query = (
            select(revisions)
            .where(revisions.c.tenant_id == tenant_id, revisions.c.name == name)
            .order_by(revisions.c.revision.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return _revision(row) if row else None

    def list(self, tenant_id: str, *, after: str | None, limit: int) -> Page[AliasRevision]:
        """What each name means; InvalidRequest when ``after`` names none. Last moved first."""
        with self._database.reading() as connection:
            return page(
                connection,
                _standing(tenant_id),
                revisions,
                "name",
                after=after,
                limit=limit,
                ascending=False,
                build=_revision,
            )

    def history(
        self, tenant_id: str, name: str, *, before: int | None, limit: int
    ) -> tuple[AliasRevision, ...]:
        """Revisions of one name, newest first, from the one before ``before`` on."""
        query = select(revisions).where(
            revisions.c.tenant_id == tenant_id, revisions.c.name == name
        )
        if before is not None:
            query = query.where(revisions.c.revision < before)
        query = query.order_by(revisions.c.revision.desc()).limit(limit)
        with self._database.reading() as connection:
            return tuple(map(_revision, connection.execute(query).mappings().all()))

    def pointing_to(self, tenant_id: str, model: str) -> tuple[str, ...]:
        """Names of the tenant's aliases that use a model in any way."""
        used = or_(
            revisions.c.model == model, revisions.c.canary == model, revisions.c.shadow == model
        )
        with self._database.reading() as connection:
            rows = connection.execute(_standing(tenant_id).where(used)).mappings().all()
        return tuple(row["name"] for row in rows)

    def leading(self, tenant_id: str) -> dict[str, tuple[str, ...]]:
        """Names of the tenant's aliases by the models that answer for them."""
        with self._database.reading() as connection:
            rows = connection.execute(_standing(tenant_id)).mappings().all()
        names: dict[str, tuple[str, ...]] = {}
        for row in sorted(rows, key=lambda row: str(row["name"])):
            for model in filter(None, (row["model"], row["canary"])):
                names[model] = (*names.get(model, ()), row["name"])
        return names


def _deed(revision: AliasRevision) -> Deed:
    named = {
        name: value
        for name in ("model", "canary", "canary_weight", "shadow")
        if (value := getattr(revision, name))
    }
    type = "alias.deleted" if revision.model is None else "alias.moved"
    return Deed(type, revision.tenant_id, revision.name, named)


def _standing(tenant_id: str) -> Select[tuple[object, ...]]:
    """The newest revision of each name that was not deleted."""
    newest = (
        select(revisions.c.name, func.max(revisions.c.revision).label("revision"))
        .where(revisions.c.tenant_id == tenant_id)
        .group_by(revisions.c.name)
        .subquery()
    )
    return (
        select(revisions)
        .join(
            newest,
            (revisions.c.name == newest.c.name) & (revisions.c.revision == newest.c.revision),
        )
        .where(revisions.c.tenant_id == tenant_id, revisions.c.model.is_not(None))
    )


def _revision(row: RowMapping) -> AliasRevision:
    return AliasRevision(**row)
