"""Webhook endpoints, and the events that wait to be sent to them."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from tunery_server.ids import new_id
from tunery_server.records.audit import Deed, note, noting
from tunery_server.records.database import Database
from tunery_server.records.idempotency import Submission, add_once, forget, made_by
from tunery_server.records.paging import all_of, page
from tunery_server.records.rows import EventType, Page, WebhookEndpoint
from tunery_server.records.tables import webhook_deliveries, webhook_endpoints


def add_event(
    connection: Connection, tenant_id: str, type: EventType, object_id: str, now: float
) -> None:
    """Put an event in line for every endpoint that is subscribed to it at this moment.

    Belongs into the transaction that writes what the event tells of: then one is never without the
    other, whatever dies in between. Without an endpoint it writes nothing.
    """
    query = all_of(webhook_endpoints).where(
        webhook_endpoints.c.tenant_id == tenant_id, webhook_endpoints.c.disabled_at.is_(None)
    )
    event = {"event_id": new_id("evt_"), "type": type, "object_id": object_id, "created_at": now}
    subscribed = [
        {**event, "endpoint_id": row["id"], "due_at": now, "attempts": 0}
        for row in connection.execute(query).mappings()
        if type in row["event_types"]
    ]
    if subscribed:
        connection.execute(insert(webhook_deliveries), subscribed)


class EndpointRecords:
    """Endpoints of all tenants; every look-up names the tenant, those for the server do not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, endpoint: WebhookEndpoint, submission: Submission | None = None) -> str:
        """Store a new endpoint; the id of the one that stands, as :func:`add_once` says."""
        statement = insert(webhook_endpoints).values(asdict(endpoint))
        deed = Deed("webhook_endpoint.created", endpoint.tenant_id, endpoint.id)
        return add_once(self._database, statement, endpoint.id, submission, then=noting(deed))

    def made_by(self, submission: Submission | None) -> str | None:
        """The id of the endpoint that an earlier sending of the same request made."""
        return made_by(self._database, submission)

    def count(self, tenant_id: str) -> int:
        """How many endpoints a tenant has."""
        query = select(func.count()).where(webhook_endpoints.c.tenant_id == tenant_id)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one()

    def get(self, tenant_id: str, endpoint_id: str) -> WebhookEndpoint | None:
        """The endpoint, or None when this tenant has none with that id."""
        endpoint = self.get_any(endpoint_id)
        return endpoint if endpoint is not None and endpoint.tenant_id == tenant_id else None

    def get_any(self, endpoint_id: str) -> WebhookEndpoint | None:
        """The endpoint, whoever owns it."""
        query = all_of(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return endpoint_of(row) if row else None

    def list(
        self, tenant_id: str, *, after: str | None = None, limit: int = 20
    ) -> Page[WebhookEndpoint]:
        """One page, newest first; InvalidRequest when ``after`` is not one of this tenant's."""
        query = all_of(webhook_endpoints).where(webhook_endpoints.c.tenant_id == tenant_id)
        with self._database.reading() as connection:
            return page(
                connection,
                query,
                webhook_endpoints,
                "id",
                after=after,
                limit=limit,
                ascending=False,
                build=endpoint_of,
            )

    def all(self) -> tuple[WebhookEndpoint, ...]:
        """Every tenant's endpoints, oldest first."""
        query = all_of(webhook_endpoints).order_by(webhook_endpoints.c.created_at)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(endpoint_of(row) for row in rows)

    def delete(self, tenant_id: str, endpoint_id: str) -> bool:
        """Forget an endpoint and what waits for it; True when there was such an endpoint."""
        change = delete(webhook_endpoints).where(
            webhook_endpoints.c.id == endpoint_id, webhook_endpoints.c.tenant_id == tenant_id
        )
        with self._database.writing() as connection:
            deleted = connection.execute(change).rowcount == 1
            if deleted:
                forget(connection, endpoint_id)
                note(connection, Deed("webhook_endpoint.deleted", tenant_id, endpoint_id))
        return deleted

    def renew_secret(self, endpoint_id: str, secret: str) -> None:
        """Sign with another secret."""
        self._set(endpoint_id, secret=secret)

    def disable(self, endpoint_id: str, *, now: float) -> None:
        """Send nothing more to an endpoint."""
        self._set(endpoint_id, disabled_at=now)

    def _set(self, endpoint_id: str, **values: Any) -> None:
        change = update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id)
        with self._database.writing() as connection:
            connection.execute(change.values(**values))


def endpoint_of(row: RowMapping) -> WebhookEndpoint:
    """An endpoint from its row."""
    types = tuple(EventType(type) for type in row["event_types"])
    return WebhookEndpoint(**{**row, "event_types": types})
