"""What a tenant may ask for: endpoints of its own, and a test of one."""

import asyncio
from collections.abc import Callable, Collection

from tunery_server.errors import InvalidRequest, NotFound, PermissionDenied
from tunery_server.ids import new_id
from tunery_server.records.idempotency import Sending, Submission
from tunery_server.records.outbox import Outbox
from tunery_server.records.rows import Delivery, EventType, Page, WebhookEndpoint
from tunery_server.records.webhooks import EndpointRecords
from tunery_server.webhooks.destinations import Destinations
from tunery_server.webhooks.poster import Answer, Poster
from tunery_server.webhooks.signing import message_of, new_secret

MOST = 10
"""Endpoints of one tenant."""


class WebhookService:
    """Endpoints of one tenant at a time. Blocking, but for a test."""

    def __init__(
        self,
        *,
        endpoints: EndpointRecords,
        outbox: Outbox,
        destinations: Destinations,
        poster: Poster,
        clock: Callable[[], float],
    ) -> None:
        self._endpoints = endpoints
        self._outbox = outbox
        self._destinations = destinations
        self._poster = poster
        self._clock = clock

    def create(
        self,
        tenant_id: str,
        *,
        name: str,
        url: str,
        event_types: Collection[EventType],
        sending: Sending | None = None,
    ) -> WebhookEndpoint:
        """Register an endpoint; the only time that its secret is given out.

        A repeat of a request (``sending``) gets the endpoint that the first one made, with a new
        secret. Raises PermissionDenied, DestinationRefused, InvalidRequest.
        """
        self._require_on()
        self._destinations.check(url)
        content = {"name": name, "url": url, "event_types": sorted(event_types)}
        submission = (sending or Sending()).of(
            "webhook_endpoints", content, tenant_id=tenant_id, now=self._clock()
        )
        endpoint = self._endpoint(tenant_id, name, url, event_types)
        standing = self._endpoints.made_by(submission) or self._add(endpoint, submission)
        if standing != endpoint.id:
            self._endpoints.renew_secret(standing, endpoint.secret)
        return self.get(tenant_id, standing)

    def get(self, tenant_id: str, endpoint_id: str) -> WebhookEndpoint:
        """The endpoint. Raises NotFound."""
        endpoint = self._endpoints.get(tenant_id, endpoint_id)
        if endpoint is None:
            raise _not_found(endpoint_id)
        return endpoint

    def list(self, tenant_id: str, *, after: str | None, limit: int) -> Page[WebhookEndpoint]:
        """Newest first. Raises InvalidRequest when ``after`` names no endpoint."""
        return self._endpoints.list(tenant_id, after=after, limit=limit)

    def delete(self, tenant_id: str, endpoint_id: str) -> None:
        """Send nothing more there. Raises NotFound."""
        if not self._endpoints.delete(tenant_id, endpoint_id):
            raise _not_found(endpoint_id)

    async def test(self, tenant_id: str, endpoint_id: str, event_type: EventType) -> Answer:
        """Send a signed sample of an event, once; ``data.id`` in it is nobody's.

        Raises PermissionDenied and NotFound.
        """
        self._require_on()
        endpoint = await asyncio.to_thread(self.get, tenant_id, endpoint_id)
        now = self._clock()
        sample = Delivery(
            event_id=new_id("evt_"),
            endpoint=endpoint,
            type=event_type,
            object_id="sample",
            created_at=now,
            attempts=1,
        )
        return await self._poster.post(endpoint.url, message_of(sample, now))

    def count_pending(self) -> int:
        """How many deliveries of all tenants are still to be made."""
        return self._outbox.count_pending()

    def _add(self, endpoint: WebhookEndpoint, submission: Submission | None) -> str:
        if self._endpoints.count(endpoint.tenant_id) >= MOST:
            raise InvalidRequest(
                f"There are {MOST} endpoints, which is the most that a tenant may have.",
                code="too_many_endpoints",
            )
        return self._endpoints.add(endpoint, submission)

    def _endpoint(
        self, tenant_id: str, name: str, url: str, event_types: Collection[EventType]
    ) -> WebhookEndpoint:
        return WebhookEndpoint(
            id=new_id("we_"),
            tenant_id=tenant_id,
            name=name,
            url=url,
            event_types=tuple(sorted(set(event_types))),
            secret=new_secret(),
            created_at=self._clock(),
        )

    def _require_on(self) -> None:
        if self._destinations.off:
            raise PermissionDenied(
                "Webhooks are off: the operator of this server has allowed no host for them.",
                code="webhooks_disabled",
            )


def _not_found(endpoint_id: str) -> NotFound:
    return NotFound(f"No webhook endpoint with id {endpoint_id!r}.", param="webhook_endpoint_id")
