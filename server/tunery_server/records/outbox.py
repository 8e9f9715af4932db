"""Webhook deliveries: what is due, who sends it, and what came of it.

``due_at`` says when a delivery may be sent (again), and is empty once nothing more will be tried.
Claiming one moves its time into the future: a sender that dies leaves it to the next one.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, select, update

from tunery_server.records.database import Database
from tunery_server.records.rows import Delivery, EventType, WebhookEndpoint
from tunery_server.records.tables import webhook_deliveries, webhook_endpoints
from tunery_server.records.webhooks import endpoint_of

_columns = webhook_deliveries.c


class Outbox:
    """Deliveries of all tenants. At least once each: a claim that runs out is given anew."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self, *, now: float, until: float, limit: int, passing_over: Collection[str] = ()
    ) -> tuple[Delivery, ...]:
        """What is due, at most one for each endpoint; nobody else gets it before ``until``.

        First attempts come before repeats, so that a dead endpoint's do not hold up others'.
        Nothing is claimed for the endpoints to pass over.
        """
        due = _due(now, passing_over).limit(limit)
        with self._database.reading() as connection:
            if connection.execute(due).first() is None:
                return ()
        with self._database.writing() as connection:
            found = connection.execute(due).all()
            ours = [row for row in found if _take(connection, row, until)]
            endpoints = _endpoints(connection, [row.endpoint_id for row in ours])
        return tuple(_delivery(row, endpoints[row.endpoint_id]) for row in ours)

    def settle(self, delivery: Delivery, outcome: str) -> None:
        """Try no more; does nothing when the claim has run out and somebody else took it."""
        self._write(delivery, due_at=None, outcome=outcome)

    def postpone(self, delivery: Delivery, outcome: str, *, due_at: float) -> None:
        """Try again at ``due_at``; does nothing when somebody else took it."""
        self._write(delivery, due_at=due_at, outcome=outcome)

    def count_pending(self) -> int:
        """How many deliveries are still to be made, over all tenants."""
        query = select(func.count()).where(_columns.due_at.is_not(None))
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one()

    def sweep(self, *, before: float) -> int:
        """Forget deliveries of events older than ``before``; returns how many."""
        change = delete(webhook_deliveries).where(_columns.created_at < before)
        with self._database.writing() as connection:
            return connection.execute(change).rowcount

    def _write(self, delivery: Delivery, **values: Any) -> None:
        ours = and_(
            _same(delivery.event_id, delivery.endpoint.id), _columns.attempts == delivery.attempts
        )
        with self._database.writing() as connection:
            connection.execute(update(webhook_deliveries).where(ours).values(**values))


def _due(now: float, passing_over: Collection[str]) -> Select[Any]:
    """Each endpoint's first in line, those that were never tried before the others."""
    order = (_columns.attempts, _columns.due_at)
    place = func.row_number().over(partition_by=_columns.endpoint_id, order_by=order)
    lined_up = (
        select(webhook_deliveries, place.label("place"))
        .join(webhook_endpoints, webhook_endpoints.c.id == _columns.endpoint_id)
        .where(
            _columns.due_at <= now,
            webhook_endpoints.c.disabled_at.is_(None),
            _columns.endpoint_id.not_in(passing_over),
        )
        .subquery()
    )
    return (
        select(lined_up)
        .where(lined_up.c.place == 1)
        .order_by(lined_up.c.attempts, lined_up.c.due_at)
    )


def _take(connection: Connection, row: Row[Any], until: float) -> bool:
    """Another sender may have taken it since it was read."""
    unchanged = and_(_same(row.event_id, row.endpoint_id), _columns.attempts == row.attempts)
    change = (
        update(webhook_deliveries)
        .where(unchanged)
        .values(due_at=until, attempts=_columns.attempts + 1)
    )
    return connection.execute(change).rowcount == 1


def _endpoints(connection: Connection, ids: Sequence[str]) -> dict[str, WebhookEndpoint]:
    query = select(webhook_endpoints).where(webhook_endpoints.c.id.in_(ids))
    return {row["id"]: endpoint_of(row) for row in connection.execute(query).mappings()}


def _delivery(row: Row[Any], endpoint: WebhookEndpoint) -> Delivery:
    return Delivery(
        event_id=row.event_id,
        endpoint=endpoint,
        type=EventType(row.type),
        object_id=row.object_id,
        created_at=row.created_at,
        attempts=row.attempts + 1,
    )


def _same(event_id: str, endpoint_id: str) -> ColumnElement[bool]:
    return and_(_columns.event_id == event_id, _columns.endpoint_id == endpoint_id)
