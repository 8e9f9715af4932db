"""Composes the gateway. The only module of the gateway that names concrete classes."""

import asyncio
import contextlib
import functools
import gc
import re
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import redis
from fastapi import Depends, FastAPI

from tunery_adapters.store import AdapterStore
from tunery_server.batches import transitions as batch_transitions
from tunery_server.batches.attempt import Bench
from tunery_server.batches.parts import PartStore
from tunery_server.batches.publisher import Publisher
from tunery_server.batches.runner import BatchRunner
from tunery_server.batches.service import BatchService
from tunery_server.batches.turns import Turns
from tunery_server.config import Settings
from tunery_server.engine.contract import Engine
from tunery_server.engine.vllm_http import VllmEngine
from tunery_server.files.service import FileService
from tunery_server.files.store import FileStore
from tunery_server.files.sweeper import Sweeper
from tunery_server.files.uploads import UploadService
from tunery_server.gateway import error_handlers, openapi
from tunery_server.gateway.auth import Authenticator
from tunery_server.gateway.batch_lines import BatchLines
from tunery_server.gateway.body import BoundedBody
from tunery_server.gateway.connection import MAX_HEADER_BYTES, Connection
from tunery_server.gateway.deps import Services, authenticate
from tunery_server.gateway.failed_attempts import FailedAttempts
from tunery_server.gateway.header_rules import HeaderRules
from tunery_server.gateway.http_server import serve
from tunery_server.gateway.job_services import compose_jobs
from tunery_server.gateway.middleware import Observed
from tunery_server.gateway.multipart import MAX_OVERHEAD_BYTES
from tunery_server.gateway.routes import (
    batches,
    estimates,
    files,
    health,
    inference,
    jobs,
    messages,
    models,
    permissions,
    responses,
    uploads,
    webhooks,
)
from tunery_server.jobs.feed import Feed
from tunery_server.jobs.surveys import Ask
from tunery_server.jobs.transitions import UNFINISHED
from tunery_server.jobs.watchers import Watchers
from tunery_server.processes import open_files
from tunery_server.queue import durability
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.batches import BatchRecords
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.keys import KeyRecords
from tunery_server.records.outbox import Outbox
from tunery_server.records.permissions import PermissionRecords
from tunery_server.records.quota import Quota
from tunery_server.records.uploads import UploadRecords
from tunery_server.records.webhooks import EndpointRecords
from tunery_server.serving.admission import Admission
from tunery_server.serving.breaker import Breaker
from tunery_server.serving.cache_salt import CacheSalt, read_or_make_secret
from tunery_server.serving.catalogue import Catalogue
from tunery_server.serving.monitor import EngineMonitor
from tunery_server.serving.permissions import Permissions
from tunery_server.serving.relay import Relay
from tunery_server.serving.residency import Residency
from tunery_server.serving.resolver import Resolver
from tunery_server.telemetry.logging import configure
from tunery_server.webhooks.destinations import Destinations
from tunery_server.webhooks.poster import Poster
from tunery_server.webhooks.sender import Sender
from tunery_server.webhooks.service import WebhookService

_UPLOAD_PATHS = re.compile(r"/v1/(files|uploads/[^/]+/parts)")
_KEEP_ALIVE_S = 20
"""Longer than clients keep an idle connection (httpx: 5 s): one of the two has to be first."""


def create_app(settings: Settings, engine: Engine | None = None, ask: Ask | None = None) -> FastAPI:
    """The gateway as an ASGI app, on a database that is up to date.

    By default with vLLM, and with a process that looks at training files.
    """
    database = Database(settings.database)
    vllm = VllmEngine(
        settings.engine_socket,
        settings.engine_key_file.read_text,
        request_timeout_s=settings.request_timeout_s,
    )
    engine = engine or vllm
    services = _services(settings, database, engine, ask)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(EngineMonitor(engine, services.residency).run())
        async with _background(settings, database, services):
            yield
        services.feed.close()
        watching.cancel()
        await vllm.close()
        database.close()

    app = FastAPI(
        title="Tunery",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        openapi_url=None,
        responses=openapi.ERRORS,
    )
    app.state.services = services
    _add_routes(app)
    openapi.install(app)
    error_handlers.install(app)
    _add_edge(app, settings)
    return app


def run(settings: Settings) -> None:
    """Serve until SIGTERM, then let running requests finish; a second one waits for none."""
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


def _services(settings: Settings, database: Database, engine: Engine, ask: Ask | None) -> Services:
    registry = AdapterRecords(database)
    file_service = _file_service(settings, database, max_bytes=settings.max_file_bytes)
    queue = RedisQueue(redis.Redis.from_url(settings.redis), lease_s=settings.lease_s)
    residency = Residency(engine)
    catalogue = Catalogue(
        base_model=settings.base_model_name,
        started_at=time.time(),
        adapters=registry,
        residency=residency,
    )
    job_services = compose_jobs(settings, database, queue, ask)
    return Services(
        authenticator=Authenticator(KeyRecords(database), timer=time.monotonic),
        engine=engine,
        estimates=job_services.estimates,
        failed_attempts=FailedAttempts(limit=settings.failed_auth_per_minute, timer=time.monotonic),
        residency=residency,
        catalogue=catalogue,
        feed=Feed(JobHistory(database)),
        batches=BatchService(
            batches=BatchRecords(database), files=FileRecords(database), clock=time.time
        ),
        files=file_service,
        jobs=job_services.jobs,
        permissions=Permissions(
            catalogue=catalogue, permissions=PermissionRecords(database), clock=time.time
        ),
        relay=_relay(settings, engine, registry, residency),
        uploads=_upload_service(settings, database, file_service),
        watchers=Watchers(
            limit=settings.max_event_streams, per_tenant=settings.max_event_streams_per_tenant
        ),
        webhooks=_webhooks(settings, database),
    )


def _file_service(settings: Settings, database: Database, *, max_bytes: int) -> FileService:
    jobs, batches = JobRecords(database), BatchRecords(database)
    return FileService(
        files=FileRecords(database),
        store=FileStore(settings.home / "files", max_bytes=max_bytes),
        in_use=[
            functools.partial(jobs.using_file, statuses=UNFINISHED),
            functools.partial(batches.using_file, statuses=batch_transitions.UNFINISHED),
        ],
        quota=_quota(settings),
        clock=time.time,
    )


def _upload_service(
    settings: Settings, database: Database, file_service: FileService
) -> UploadService:
    return UploadService(
        uploads=UploadRecords(database),
        files=file_service,
        store=FileStore(settings.home / "files", max_bytes=settings.max_file_bytes),
        root=settings.home / "uploads",
        quota=_quota(settings),
        max_file_bytes=settings.max_file_bytes,
        clock=time.time,
    )


def _quota(settings: Settings) -> Quota:
    return Quota(
        files=settings.max_files_per_tenant,
        bytes=settings.max_file_bytes_per_tenant,
        pending_uploads=settings.max_pending_uploads,
    )


def _webhooks(settings: Settings, database: Database) -> WebhookService:
    destinations = Destinations.of(settings.webhook_hosts)
    return WebhookService(
        endpoints=EndpointRecords(database),
        outbox=Outbox(database),
        destinations=destinations,
        poster=Poster(destinations),
        clock=time.time,
    )


@contextlib.asynccontextmanager
async def _background(
    settings: Settings, database: Database, services: Services
) -> AsyncIterator[None]:
    """What goes on beside the requests."""
    async with (
        _sending(settings, database),
        _running_batches(settings, database, services.relay),
        _sweeping(services),
    ):
        yield


@contextlib.asynccontextmanager
async def _sweeping(services: Services) -> AsyncIterator[None]:
    """Leftovers are removed meanwhile."""
    sweeper = Sweeper([services.files.sweep, services.uploads.sweep])
    running = asyncio.create_task(sweeper.run())
    yield
    running.cancel()
    await asyncio.wait({running})


@contextlib.asynccontextmanager
async def _sending(settings: Settings, database: Database) -> AsyncIterator[None]:
    """Webhooks go out meanwhile, unless they are off."""
    destinations = Destinations.of(settings.webhook_hosts)
    sender = Sender(
        outbox=Outbox(database),
        endpoints=EndpointRecords(database),
        poster=Poster(destinations),
        clock=time.time,
    )
    sending = None if destinations.off else asyncio.create_task(sender.run())
    yield
    if sending is not None:
        sending.cancel()
        await asyncio.wait({sending})


@contextlib.asynccontextmanager
async def _running_batches(
    settings: Settings, database: Database, relay: Relay
) -> AsyncIterator[None]:
    """Batches are run meanwhile."""
    bench = Bench(
        batches=BatchRecords(database),
        input_path=FileStore(settings.home / "files", max_bytes=settings.max_file_bytes).path,
        parts=PartStore(settings.home / "batches"),
        # The bound on files is one on uploads: results are as large as the answers are.
        publisher=Publisher(_file_service(settings, database, max_bytes=sys.maxsize)),
        ask=BatchLines(relay),
        turns=Turns(settings.max_batch_concurrency),
        heavy=asyncio.Semaphore(),
        clock=time.time,
        pause=asyncio.sleep,
        lease_s=settings.lease_s,
        look_s=min(1.0, settings.lease_s / 4),
    )
    running = asyncio.create_task(BatchRunner(bench).run())
    yield
    running.cancel()
    await asyncio.wait({running})


def _relay(
    settings: Settings, engine: Engine, registry: AdapterRecords, residency: Residency
) -> Relay:
    return Relay(
        engine=engine,
        resolver=Resolver(
            base_model=settings.base_model_name,
            adapters=registry,
            folders=AdapterStore(settings.home / "adapters"),
        ),
        residency=residency,
        admission=Admission(
            places=settings.max_concurrent_requests, line=settings.max_queued_requests
        ),
        breaker=Breaker(timer=time.monotonic),
        salt=CacheSalt(read_or_make_secret(settings.home / "cache-salt.key")),
        timer=time.perf_counter,
    )


def _add_routes(app: FastAPI) -> None:
    """Whatever is not added as public here wants a key."""
    app.include_router(health.public)
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
        webhooks.router,
        health.guarded,
    ):
        app.include_router(router, dependencies=[Depends(authenticate)])
