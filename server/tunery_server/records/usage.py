"""What was used, by hour, tenant, key and model."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects import postgresql, sqlite

from tunery_server.records.database import Database
from tunery_server.records.tables import usage
from tunery_server.records.usage_rows import Amounts, UsageKey, UsageRow

HOUR_S = 3600
_AMOUNTS = tuple(field.name for field in fields(Amounts))
_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
"""Both have ON CONFLICT, each with a type of its own."""


class UsageRecords:
    """A sum for every hour in which anything was used. Never less than what was added."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, entries: Iterable[tuple[UsageKey, Amounts]]) -> None:
        """Add to the sums, all of it or nothing."""
        rows = [{**asdict(key), **asdict(amounts)} for key, amounts in entries]
        if not rows:
            return
        adding = _INSERTS[self._database.dialect](usage)
        sums = {name: usage.c[name] + adding.excluded[name] for name in _AMOUNTS}
        adding = adding.on_conflict_do_update(index_elements=usage.primary_key.columns, set_=sums)
        with self._database.writing() as connection:
            connection.execute(adding, rows)

    def sums(
        self,
        *,
        start: int,
        end: int,
        width_s: int = HOUR_S,
        by: Sequence[str] = (),
        tenants: Collection[str] | None = None,
        keys: Collection[str] | None = None,
        models: Collection[str] | None = None,
        background: bool | None = None,
    ) -> tuple[UsageRow, ...]:
        """Sums over periods of ``width_s`` from ``start`` up to ``end``, oldest first.

        Times are Unix seconds. ``by`` names fields of :class:`UsageKey` that are told apart; the
        others are added up, and empty in the answer. None asks for all.
        """
        period = (usage.c.hour - (usage.c.hour - start) % width_s).label("hour")
        groups: list[ColumnElement[Any]] = [period, *(usage.c[name] for name in by)]
        totals = [func.sum(usage.c[name]).label(name) for name in _AMOUNTS]
        query = select(*groups, *totals).where(usage.c.hour >= start, usage.c.hour < end)
        for column, chosen in (("tenant_id", tenants), ("key_id", keys), ("model", models)):
            if chosen is not None:
                query = query.where(usage.c[column].in_(chosen))
        if background is not None:
            query = query.where(usage.c.background == background)
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(*groups).order_by(*groups)).mappings().all()
        return tuple(
            UsageRow(
                UsageKey(**{name: row[name] for name in ("hour", *by)}),
                Amounts(**{name: row[name] for name in _AMOUNTS}),
            )
            for row in rows
        )
