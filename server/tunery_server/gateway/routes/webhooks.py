"""``/v1/webhook_endpoints`` and ``/v1/webhook_event_types``, as the ``openai`` client asks."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool

from tunery_server.errors import InvalidRequest
from tunery_server.gateway.auth import JOBS, Principal
from tunery_server.gateway.deps import After, Sent, Used, scoped
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.protocol.webhooks import (
    CreateWebhookEndpoint,
    TestWebhookEndpoint,
    WebhookEndpointDeleted,
    WebhookEndpointList,
    WebhookEndpointObject,
    WebhookEndpointWithSecret,
    WebhookEventTypeList,
    WebhookTestResult,
)
from tunery_server.records.rows import EventType

router = APIRouter(prefix="/v1", tags=["webhooks"])

Caller = Annotated[Principal, Depends(scoped(JOBS))]
Body = Annotated[CreateWebhookEndpoint, Depends(json_body(CreateWebhookEndpoint))]
Sample = Annotated[TestWebhookEndpoint, Depends(json_body(TestWebhookEndpoint))]


@router.post("/webhook_endpoints")
async def create(
    caller: Caller, body: Body, used: Used, sending: Sent
) -> WebhookEndpointWithSecret:
    """Register an endpoint. Its secret is in this answer and in no other."""
    endpoint = await run_in_threadpool(
        used.webhooks.create,
        caller.tenant_id,
        name=body.name,
        url=body.url,
        event_types=body.event_types,
        sending=sending,
    )
    return WebhookEndpointWithSecret.of(endpoint)


@router.get("/webhook_endpoints")
def list_endpoints(
    caller: Caller,
    used: Used,
    after: After = None,
    limit: Annotated[int, Query(ge=0, le=100)] = 20,
) -> WebhookEndpointList:
    """The caller's endpoints, newest first."""
    return WebhookEndpointList.of(
        used.webhooks.list(caller.tenant_id, after=after, limit=limit), WebhookEndpointObject.of
    )


@router.get("/webhook_endpoints/{endpoint_id}")
def retrieve(endpoint_id: str, caller: Caller, used: Used) -> WebhookEndpointObject:
    """One endpoint."""
    return WebhookEndpointObject.of(used.webhooks.get(caller.tenant_id, endpoint_id))


@router.delete("/webhook_endpoints/{endpoint_id}")
def delete(endpoint_id: str, caller: Caller, used: Used) -> WebhookEndpointDeleted:
    """Forget an endpoint, and what waits to be sent to it."""
    used.webhooks.delete(caller.tenant_id, endpoint_id)
    return WebhookEndpointDeleted(id=endpoint_id)


@router.post("/webhook_endpoints/{endpoint_id}/test")
async def test(endpoint_id: str, caller: Caller, body: Sample, used: Used) -> WebhookTestResult:
    """Send a sample event and say what came back."""
    answer = await used.webhooks.test(caller.tenant_id, endpoint_id, body.event_type)
    if answer.status is None:
        raise InvalidRequest(
            f"The endpoint gave no answer: {answer.outcome}.", code="endpoint_unreachable"
        )
    return WebhookTestResult(
        webhook_endpoint_id=endpoint_id, event_type=body.event_type, status_code=answer.status
    )


@router.get("/webhook_event_types")
def event_types(caller: Caller) -> WebhookEventTypeList:
    """What an endpoint can subscribe to."""
    return WebhookEventTypeList(data=tuple(EventType))
