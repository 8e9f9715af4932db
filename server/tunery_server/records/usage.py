"""What was used, by hour, tenant, key and model."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from tunery_server.records.database import Database
from tunery_server.records.tables import usage
from tunery_server.records.usage_rows import Amounts, UsageKey, UsageQuery, UsageRow

_AMOUNTS = tuple(field.name for field in fields(Amounts))
_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
"""Both have ON CONFLICT, each with a type of its own."""


class UsageRecords:
    """A sum for every hour in which anything was used. Never less than what was added."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, entries: Iterable[tuple[UsageKey, Amounts]]) -> None:
        """Add to the sums, all of it or nothing."""
        given = tuple(entries)
        if given:
            with self._database.writing() as connection:
                add_usage(connection, given)

    def sums(self, asked: UsageQuery) -> tuple[UsageRow, ...]:
        """Sums as asked for, oldest first. A field that is not told apart is empty."""
        period = (usage.c.hour - (usage.c.hour - asked.start) % asked.width_s).label("hour")
        groups: list[ColumnElement[Any]] = [period, *(usage.c[name] for name in asked.by)]
        totals = [func.sum(usage.c[name]).label(name) for name in _AMOUNTS]
        query = select(*groups, *totals).where(*_conditions(asked))
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(*groups).order_by(*groups)).mappings().all()
        return tuple(
            UsageRow(
                UsageKey(**{name: row[name] for name in ("hour", *asked.by)}),
                Amounts(**{name: row[name] for name in _AMOUNTS}),
            )
            for row in rows
        )


def add_usage(connection: Connection, entries: Iterable[tuple[UsageKey, Amounts]]) -> None:
    """As :meth:`UsageRecords.add`, in the transaction of what took it. One entry at least.

    Every process takes the rows' locks in one order, so that no two wait for each other.
    """
    ordered = sorted(entries, key=lambda entry: astuple(entry[0]))
    rows = [{**asdict(key), **asdict(amounts)} for key, amounts in ordered]
    adding = _INSERTS[connection.dialect.name](usage)
    sums = {name: _sum(usage.c[name], adding.excluded[name]) for name in _AMOUNTS}
    adding = adding.on_conflict_do_update(index_elements=usage.primary_key.columns, set_=sums)
    connection.execute(adding, rows)


def _sum(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    """Of what is not null; null when both are."""
    return func.coalesce(one + other, one, other)


def _conditions(asked: UsageQuery) -> Iterator[ColumnElement[bool]]:
    yield usage.c.hour >= asked.start
    yield usage.c.hour < asked.end
    chosen = {"tenant_id": asked.tenants, "key_id": asked.keys, "model": asked.models}
    for column, values in chosen.items():
        if values is not None:
            yield usage.c[column].in_(values)
    if asked.background is not None:
        yield usage.c.background == asked.background
    if asked.inference is not None:
        yield usage.c.requests > 0 if asked.inference else usage.c.requests == 0
