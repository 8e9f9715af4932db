"""``/v1/webhook_endpoints``."""

from typing import Annotated, Literal

from pydantic import Field

from tunery_server.gateway.protocol.base import (
    Answer,
    Deleted,
    ListedBetween,
    PlainText,
    Request,
    seconds,
)
from tunery_server.records.rows import EventType, WebhookEndpoint
from tunery_server.webhooks.destinations import MAX_URL

_EventType = Annotated[EventType, Field(strict=False)]


class CreateWebhookEndpoint(Request):
    """Where to send which events."""

    name: Annotated[PlainText, Field(min_length=1, max_length=256)]
    url: str = Field(min_length=1, max_length=MAX_URL)
    event_types: list[_EventType] = Field(min_length=1, max_length=32)


class TestWebhookEndpoint(Request):
    """Which event to send a sample of."""

    event_type: _EventType


class WebhookEndpointObject(Answer):
    """An endpoint. ``disabled_at`` is ours: when it answered 410 and nothing more was sent."""

    id: str
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    created_at: int
    updated_at: int
    name: str
    url: str
    event_types: tuple[str, ...]
    signing_secret_hint: None = None
    disabled_at: int | None

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> "WebhookEndpointObject":
        """Everything but the secret."""
        return cls(**_fields(endpoint))


class WebhookEndpointWithSecret(WebhookEndpointObject):
    """An endpoint as it is shown once, when it was made."""

    signing_secret: str = Field(repr=False)

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> "WebhookEndpointWithSecret":
        """With the secret."""
        return cls(**_fields(endpoint), signing_secret=endpoint.secret)


class WebhookEndpointList(ListedBetween[WebhookEndpointObject]):
    """A page of endpoints."""


class WebhookEndpointDeleted(Deleted):
    """An endpoint that is no more."""

    object: Literal["webhook_endpoint.deleted"] = "webhook_endpoint.deleted"


class WebhookTestResult(Answer):
    """What the endpoint answered to a sample."""

    object: Literal["webhook_endpoint.test"] = "webhook_endpoint.test"
    webhook_endpoint_id: str
    event_type: str
    success: Literal[True] = True
    status_code: int


class WebhookEventTypeList(Answer):
    """What an endpoint can subscribe to."""

    object: Literal["list"] = "list"
    data: tuple[str, ...]


def _fields(endpoint: WebhookEndpoint) -> dict[str, object]:
    return {
        "id": endpoint.id,
        "created_at": int(endpoint.created_at),
        "updated_at": int(endpoint.created_at),
        "name": endpoint.name,
        "url": endpoint.url,
        "event_types": endpoint.event_types,
        "disabled_at": seconds(endpoint.disabled_at),
    }
