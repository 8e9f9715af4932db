"""What routes ask for: who calls, and the services that ``app.py`` composed."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from tunery_server.engine.contract import Engine
from tunery_server.errors import InvalidRequest, Unauthenticated
from tunery_server.files.service import FileService
from tunery_server.gateway.auth import Authenticator, Principal
from tunery_server.gateway.failed_attempts import FailedAttempts
from tunery_server.jobs.service import JobService
from tunery_server.records.idempotency import Sending
from tunery_server.serving.catalogue import Catalogue
from tunery_server.serving.relay import Relay
from tunery_server.serving.residency import Residency
from tunery_server.webhooks.service import WebhookService

_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
_RETRY_COUNT = re.compile(r"[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a route may use."""

    authenticator: Authenticator
    catalogue: Catalogue
    engine: Engine
    failed_attempts: FailedAttempts
    files: FileService
    jobs: JobService
    relay: Relay
    residency: Residency
    webhooks: WebhookService


def services(request: Request) -> Services:
    """The services of this app."""
    composed: Services = request.app.state.services
    return composed


async def authenticate(request: Request) -> Principal:
    """The caller; every router but the health checks depends on it.

    Raises Unauthenticated, or RateLimited for an address that fails too often.
    """
    if not hasattr(request.state, "principal"):
        used = services(request)
        try:
            request.state.principal = await used.authenticator.principal(
                request.headers.getlist("authorization")
            )
        except Unauthenticated:
            used.failed_attempts.add(request.client.host if request.client else "")
            raise
    principal: Principal = request.state.principal
    return principal


def scoped(scope: str) -> Callable[[Principal], Awaitable[Principal]]:
    """A dependency that wants one scope of the caller."""

    async def check(principal: Annotated[Principal, Depends(authenticate)]) -> Principal:
        principal.require(scope)
        return principal

    return check


def sending(request: Request) -> Sending:
    """Which request this POST is a sending of. Raises InvalidRequest for a malformed key."""
    key = request.headers.get("idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest(
            "Idempotency-Key: must be 1 to 255 printable ASCII characters without spaces.",
            param="Idempotency-Key",
        )
    count = request.headers.get("x-stainless-retry-count", "")
    return Sending(key, int(count) if _RETRY_COUNT.fullmatch(count) else None)


Used = Annotated[Services, Depends(services)]
Sent = Annotated[Sending, Depends(sending)]
After = Annotated[str | None, Query(max_length=128)]
