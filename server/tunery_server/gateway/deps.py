"""What routes ask for: who calls, and the services that ``app.py`` composed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from tunery_server.engine.contract import Engine
from tunery_server.files.service import FileService
from tunery_server.gateway.auth import Authenticator, Principal
from tunery_server.jobs.service import JobService
from tunery_server.serving.catalogue import Catalogue
from tunery_server.serving.relay import Relay
from tunery_server.serving.residency import Residency


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a route may use."""

    authenticator: Authenticator
    catalogue: Catalogue
    engine: Engine
    files: FileService
    jobs: JobService
    relay: Relay
    residency: Residency


def services(request: Request) -> Services:
    """The services of this app."""
    composed: Services = request.app.state.services
    return composed


async def authenticate(request: Request) -> Principal:
    """The caller; every router but the health checks depends on it. Raises Unauthenticated."""
    if not hasattr(request.state, "principal"):
        authenticator = services(request).authenticator
        request.state.principal = await authenticator.principal(
            request.headers.getlist("authorization")
        )
    principal: Principal = request.state.principal
    return principal


def scoped(scope: str) -> Callable[[Principal], Awaitable[Principal]]:
    """A dependency that wants one scope of the caller."""

    async def check(principal: Annotated[Principal, Depends(authenticate)]) -> Principal:
        principal.require(scope)
        return principal

    return check


Used = Annotated[Services, Depends(services)]
After = Annotated[str | None, Query(max_length=128)]
