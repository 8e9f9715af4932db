"""The gateway as an ASGI app: its routes, its edge, and how it is served."""

import contextlib
import functools
import gc
import re
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from starlette.routing import BaseRoute

from tunery_server.config import Settings
from tunery_server.engine.contract import Engine
from tunery_server.gateway import error_handlers, openapi
from tunery_server.gateway.body import BoundedBody
from tunery_server.gateway.composition import compose
from tunery_server.gateway.connection import MAX_HEADER_BYTES, Connection
from tunery_server.gateway.deps import Services, authenticate
from tunery_server.gateway.header_rules import HeaderRules
from tunery_server.gateway.http_server import serve
from tunery_server.gateway.middleware import Observed
from tunery_server.gateway.multipart import MAX_OVERHEAD_BYTES
from tunery_server.gateway.rate_headers import RateHeaders
from tunery_server.gateway.routes import (
    accounts,
    admin_keys,
    aliases,
    audit_log,
    batches,
    estimates,
    files,
    health,
    inference,
    jobs,
    messages,
    models,
    permissions,
    projects,
    responses,
    uploads,
    usage,
    webhooks,
)
from tunery_server.jobs.surveys import Ask
from tunery_server.processes import memory, open_files
from tunery_server.queue import durability
from tunery_server.records.database import Database
from tunery_server.telemetry.logging import configure

_UPLOAD_PATHS = re.compile(r"/v1/(files|uploads/[^/]+/parts)")
_KEEP_ALIVE_S = 20
"""Longer than clients keep an idle connection (httpx: 5 s): one of the two has to be first."""


def create_app(settings: Settings, engine: Engine | None = None, ask: Ask | None = None) -> FastAPI:
    """The gateway as an ASGI app, on a database that is up to date.

    By default with vLLM, and with a process that looks at training files.
    """
    composition = compose(settings, engine, ask)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with composition.beside():
            yield
            composition.services.feed.close()

    app = FastAPI(
        title="Tunery",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        openapi_url=None,
        responses=openapi.ERRORS,
        routes=list(_routes()),
    )
    app.state.services = composition.services
    openapi.install(app)
    error_handlers.install(app)
    _add_edge(app, settings)
    return app


def run(settings: Settings) -> None:
    """Serve until SIGTERM, then let running requests finish; a second one waits for none."""
    memory.few_arenas()
    configure(settings.log_level, process="gateway")
    durability.check(settings)
    Database(settings.database).migrate()
    open_files.raise_limit()
    app = create_app(settings)
    gc.freeze()  # what there is by now stays: no answer waits while it is looked through for cycles
    serve(app, host=settings.host, port=settings.port, **http_options(settings, app))


def _add_edge(app: FastAPI, settings: Settings) -> None:
    """What every request passes before a route, the last one first."""
    app.add_middleware(HeaderRules, hosts=settings.allowed_hosts)
    app.add_middleware(
        BoundedBody,
        max_bytes=settings.max_body_bytes,
        upload_paths=_UPLOAD_PATHS,
        max_upload_bytes=settings.max_file_bytes + MAX_OVERHEAD_BYTES,
        stall_timeout_s=settings.stall_timeout_s,
    )
    app.add_middleware(RateHeaders, clock=time.time)
    app.add_middleware(Observed)


def http_options(settings: Settings, app: FastAPI) -> dict[str, Any]:
    """How uvicorn speaks HTTP: with our limits, and no header believed but from our proxies."""
    services: Services = app.state.services
    return {
        "http": functools.partial(
            Connection,
            header_timeout_s=settings.header_timeout_s,
            stall_timeout_s=settings.stall_timeout_s,
            on_shutdown=services.feed.close,
        ),
        "ws": "none",
        "h11_max_incomplete_event_size": 2 * MAX_HEADER_BYTES,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": list(settings.trusted_proxies),
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_keep_alive": _KEEP_ALIVE_S,
        "timeout_graceful_shutdown": int(settings.drain_timeout_s),
    }


@functools.cache
def _routes() -> Sequence[BaseRoute]:
    """Whatever is not added as public here wants a key.

    Made once a process: FastAPI takes most of a start to analyse them, and they hold nothing of an
    app's.
    """
    together = APIRouter(responses=openapi.ERRORS)
    together.include_router(health.public)
    for router in (
        inference.router,
        batches.router,
        responses.router,
        messages.router,
        files.router,
        uploads.router,
        estimates.router,
        jobs.router,
        permissions.router,
        models.router,
        aliases.router,
        usage.router,
        webhooks.router,
        projects.router,
        accounts.router,
        admin_keys.router,
        audit_log.router,
        health.guarded,
    ):
        together.include_router(router, dependencies=[Depends(authenticate)])
    return tuple(together.routes)
