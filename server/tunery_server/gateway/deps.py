"""What routes ask for: who calls, and the services that ``composition.py`` composed.

All of it is asked for by coroutines, for FastAPI lets a thread wait for anything else.
"""

import functools
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Depends, Header, Query, Request

from tunery_server.batches.service import BatchService
from tunery_server.engine.contract import Engine
from tunery_server.errors import Unauthenticated
from tunery_server.files.service import FileService
from tunery_server.files.uploads import UploadService
from tunery_server.gateway.administration import Administration
from tunery_server.gateway.auth import INFERENCE, Authenticator, Principal
from tunery_server.gateway.failed_attempts import FailedAttempts
from tunery_server.gateway.rate_headers import STANDING
from tunery_server.gateway.wire import Wire, wire_of
from tunery_server.jobs.estimate import Estimates
from tunery_server.jobs.feed import Feed
from tunery_server.jobs.service import JobService
from tunery_server.jobs.statistics import JobStatistics
from tunery_server.jobs.watchers import Watchers
from tunery_server.records.actor import Actor, identify
from tunery_server.records.idempotency import Sending
from tunery_server.registry.exports import Exports
from tunery_server.registry.imports import Imports
from tunery_server.serving.aliases import Aliases
from tunery_server.serving.caller import Caller
from tunery_server.serving.catalogue import Catalogue
from tunery_server.serving.permissions import Permissions
from tunery_server.serving.pins import Pins
from tunery_server.serving.preload import Preload
from tunery_server.serving.promotion import Promotion
from tunery_server.serving.relay import Relay
from tunery_server.serving.residency import Residency
from tunery_server.serving.traffic import Traffic
from tunery_server.serving.usage_reports import UsageReports
from tunery_server.webhooks.service import WebhookService

_RETRY_COUNT = re.compile(r"[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a route may use."""

    aliases: Aliases
    administration: Administration
    authenticator: Authenticator
    batches: BatchService
    catalogue: Catalogue
    engine: Engine
    exports: Exports
    estimates: Estimates
    failed_attempts: FailedAttempts
    feed: Feed
    files: FileService
    imports: Imports
    jobs: JobService
    job_statistics: JobStatistics
    permissions: Permissions
    pins: Pins
    preload: Preload
    promotion: Promotion
    relay: Relay
    residency: Residency
    traffic: Traffic
    uploads: UploadService
    watchers: Watchers
    usage: UsageReports
    webhooks: WebhookService


def services(request: Request) -> Services:
    """The services of this app."""
    composed: Services = request.app.state.services
    return composed


async def _used(request: Request) -> Services:
    return services(request)


def credentials(request: Request) -> list[str]:
    """The Authorization headers; on Anthropic's wire its own header, too, in the same form."""
    given = request.headers.getlist("authorization")
    if wire_of(request.scope) is Wire.ANTHROPIC:
        given += [f"Bearer {key}" for key in request.headers.getlist("x-api-key")]
    return given


async def authenticate(request: Request) -> Principal:
    """The caller; every router but the health checks depends on it.

    Raises Unauthenticated, or RateLimited for an address that fails too often.
    """
    if not hasattr(request.state, "principal"):
        used = services(request)
        try:
            request.state.principal = await used.authenticator.principal(credentials(request))
        except Unauthenticated:
            used.failed_attempts.add(_address(request))
            raise
        _require_project(request, request.state.principal)
        identify(_actor(request, request.state.principal))
    principal: Principal = request.state.principal
    return principal


def _require_project(request: Request, principal: Principal) -> None:
    """A client that names a project has to have a key of it, an administrator too.

    What is done in a project is done by a key that belongs to it, and so can be told from it.
    """
    named = request.headers.getlist("openai-project")
    if named and named != [principal.tenant_id]:
        raise Unauthenticated(
            "OpenAI-Project names another project than the API key's.", code="mismatched_project"
        )


def _actor(request: Request, principal: Principal) -> Actor:
    return Actor(
        tenant_id=principal.tenant_id,
        key_id=principal.key_id,
        address=_address(request),
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
    )


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def scoped(scope: str) -> Callable[[Principal], Awaitable[Principal]]:
    """A dependency that wants one scope of the caller."""

    async def check(principal: Annotated[Principal, Depends(authenticate)]) -> Principal:
        principal.require(scope)
        return principal

    return check


async def asking(
    request: Request, principal: Annotated[Principal, Depends(scoped(INFERENCE))]
) -> Caller:
    """The caller of an inference route; what is left of its limits goes into the answer."""
    told = functools.partial(setattr, request.state, STANDING)
    return Caller(principal.tenant_id, principal.key_id, principal.subjects, told)


async def sending(
    idempotency_key: Annotated[str | None, Header(pattern=r"^[!-~]{1,255}$")] = None,
    x_stainless_retry_count: Annotated[str, Header(include_in_schema=False)] = "",
) -> Sending:
    """Which request this POST is a sending of."""
    counted = _RETRY_COUNT.fullmatch(x_stainless_retry_count)
    return Sending(idempotency_key, int(x_stainless_retry_count) if counted else None)


Asking = Annotated[Caller, Depends(asking)]
Used = Annotated[Services, Depends(_used)]
Sent = Annotated[Sending, Depends(sending)]
After = Annotated[str | None, Query(max_length=128)]
