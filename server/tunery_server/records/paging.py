"""Cursor pages: rows in order of creation, cut after the row that the caller saw last."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, RowMapping, Select, Table, and_, or_, select

from tunery_server.errors import InvalidRequest
from tunery_server.records.rows import Page

T = TypeVar("T")


def page(
    connection: Connection,
    query: Select[tuple[object, ...]],
    table: Table,
    key: str,
    *,
    after: str | None,
    limit: int,
    ascending: bool,
    build: Callable[[RowMapping], T],
) -> Page[T]:
    """One page of ``query`` ordered by (created_at, key).

    Raises InvalidRequest when ``after`` is not in it.
    """
    created, identity = table.c.created_at, table.c[key]
    if after is not None:
        cursor = connection.execute(
            query.with_only_columns(created).where(identity == after)
        ).one_or_none()
        if cursor is None:
            raise unknown_cursor()
        at = cursor[0]
        query = query.where(
            or_(created > at, and_(created == at, identity > after))
            if ascending
            else or_(created < at, and_(created == at, identity < after))
        )
    order = (created, identity) if ascending else (created.desc(), identity.desc())
    rows = connection.execute(query.order_by(*order).limit(limit + 1)).mappings().all()
    return Page(tuple(build(row) for row in rows[:limit]), has_more=len(rows) > limit)


def unknown_cursor() -> InvalidRequest:
    """What a caller hears whose ``after`` is not in the list, or no longer."""
    return InvalidRequest("'after' is not the id of an item in this list.", param="after")


def all_of(table: Table) -> Select[tuple[object, ...]]:
    """``SELECT *`` with a type that :func:`page` takes."""
    return select(table)
