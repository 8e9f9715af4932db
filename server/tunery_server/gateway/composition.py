"""Composes the gateway. Its only module that names concrete classes."""

import asyncio
import contextlib
import functools
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import redis
import redis.asyncio

from tunery_server.batches import transitions as batch_transitions
from tunery_server.batches.attempt import Bench
from tunery_server.batches.parts import PartStore
from tunery_server.batches.publisher import Publisher
from tunery_server.batches.runner import BatchRunner
from tunery_server.batches.service import BatchService
from tunery_server.batches.turns import Turns
from tunery_server.config import Settings
from tunery_server.engine.contract import Engine
from tunery_server.engine.key_file import KeyFile
from tunery_server.engine.vllm_http import VllmEngine
from tunery_server.files.service import FileService
from tunery_server.files.storage import file_storage
from tunery_server.files.sweeper import Sweeper
from tunery_server.files.uploads import UploadService
from tunery_server.gateway.adapter_services import adapter_store, imports, pins, preload, removal
from tunery_server.gateway.administration import administration
from tunery_server.gateway.auth import Authenticator
from tunery_server.gateway.batch_lines import BatchLines
from tunery_server.gateway.deps import Services
from tunery_server.gateway.error_handlers import status_of
from tunery_server.gateway.failed_attempts import FailedAttempts
from tunery_server.gateway.job_services import JobServices, compose_jobs
from tunery_server.jobs.feed import Feed
from tunery_server.jobs.surveys import Ask
from tunery_server.jobs.transitions import UNFINISHED
from tunery_server.jobs.watchers import Watchers
from tunery_server.limits.redis_limiter import RedisLimiter
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.aliases import AliasRecords
from tunery_server.records.batches import BatchRecords
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.keys import KeyRecords
from tunery_server.records.outbox import Outbox
from tunery_server.records.permissions import PermissionRecords
from tunery_server.records.quota import Quota, QuotaOf, StorageRecords
from tunery_server.records.tenants import TenantPolicies, default_policy
from tunery_server.records.uploads import UploadRecords
from tunery_server.records.usage import UsageRecords
from tunery_server.records.webhooks import EndpointRecords
from tunery_server.registry.exports import Exports
from tunery_server.serving.admission import Admission
from tunery_server.serving.aliases import Aliases
from tunery_server.serving.breaker import Breaker
from tunery_server.serving.cache_salt import CacheSalt, read_or_make_secret
from tunery_server.serving.catalogue import Catalogue
from tunery_server.serving.gate import Gatekeeper
from tunery_server.serving.held_out import HeldOut
from tunery_server.serving.ledger import Ledger
from tunery_server.serving.metering import Metering
from tunery_server.serving.monitor import EngineMonitor
from tunery_server.serving.permissions import Permissions
from tunery_server.serving.promotion import Promotion
from tunery_server.serving.relay import Relay
from tunery_server.serving.residency import Residency
from tunery_server.serving.resolver import Resolver
from tunery_server.serving.shadows import Shadows
from tunery_server.serving.slots import Slots
from tunery_server.serving.traffic import Traffic
from tunery_server.serving.usage_reports import UsageReports
from tunery_server.tenants.key_uses import KeyUses
from tunery_server.webhooks.destinations import Destinations
from tunery_server.webhooks.poster import Poster
from tunery_server.webhooks.sender import Sender
from tunery_server.webhooks.service import WebhookService


@dataclass(frozen=True, slots=True)
class Composition:
    """What routes use, and what goes on beside the requests."""

    services: Services
    beside: Callable[[], AbstractAsyncContextManager[None]]


def compose(settings: Settings, engine: Engine | None, ask: Ask | None) -> Composition:
    """Everything, on a database that is up to date; by default with vLLM."""
    database = Database(settings.database)
    vllm = VllmEngine(
        settings.engine_socket,
        KeyFile(settings.engine_key_file).read,
        request_timeout_s=settings.request_timeout_s,
    )
    engine = engine or vllm
    client = redis.asyncio.Redis.from_url(settings.redis)
    limiter = RedisLimiter(client)
    ledger = Ledger(UsageRecords(database), clock=time.time)
    jobs = compose_jobs(settings, database, _queue(settings), ask)
    services = _services(settings, database, engine, jobs, Metering(limiter), ledger)

    @contextlib.asynccontextmanager
    async def beside() -> AsyncIterator[None]:
        loops = [
            EngineMonitor(engine, services.residency).run(),
            services.authenticator.uses.run(),
            _sweeper(services).run(),
            _batch_runner(settings, database, services.relay).run(),
            removal(settings, database, services.residency).run(),
            services.preload.run(),
        ]
        if not Destinations.of(settings.webhook_hosts).off:
            loops.append(_sender(settings, database).run())
        # The ledger ends last, for a line of a batch counts when it is given up, too.
        async with _going_on(ledger.run(), limiter.run()), _going_on(*loops):
            yield
            await services.relay.close()
        await client.aclose()
        await vllm.close()
        database.close()

    return Composition(services, beside)


@contextlib.asynccontextmanager
async def _going_on(*loops: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run loops meanwhile."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _queue(settings: Settings) -> RedisQueue:
    return RedisQueue(redis.Redis.from_url(settings.redis), lease_s=settings.lease_s)


def _sweeper(services: Services) -> Sweeper:
    audit_log = services.administration.audit_log
    return Sweeper([services.files.sweep, services.uploads.sweep, audit_log.sweep])


def _services(
    settings: Settings,
    database: Database,
    engine: Engine,
    job_services: JobServices,
    metering: Metering,
    ledger: Ledger,
) -> Services:
    file_service = _file_service(settings, database, max_bytes=settings.max_file_bytes)
    traffic = Traffic(settings.max_metric_names, status_of=status_of)
    residency = Residency(engine, places=settings.places_in_memory, tallies=traffic.adapters)
    catalogue = _catalogue(settings, database, residency)
    loads = preload(settings, database, residency)
    relay = _relay(settings, database, engine, residency, metering, ledger, traffic)
    aliases = Aliases(aliases=AliasRecords(database), catalogue=catalogue, clock=time.time)
    return Services(
        aliases=aliases,
        promotion=_promotion(settings, database, aliases, catalogue, relay, file_service),
        administration=administration(settings, database),
        authenticator=_authenticator(settings, database),
        engine=engine,
        exports=Exports(adapter_store(settings)),
        imports=imports(settings, database, file_service, residency),
        failed_attempts=FailedAttempts(limit=settings.failed_auth_per_minute, timer=time.monotonic),
        residency=residency,
        catalogue=catalogue,
        feed=Feed(JobHistory(database)),
        batches=BatchService(
            batches=BatchRecords(database), files=FileRecords(database), clock=time.time
        ),
        files=file_service,
        jobs=job_services.jobs,
        job_statistics=job_services.statistics,
        estimates=job_services.estimates,
        permissions=Permissions(
            catalogue=catalogue, permissions=PermissionRecords(database), clock=time.time
        ),
        pins=pins(settings, database, catalogue, residency, loads),
        preload=loads,
        relay=relay,
        traffic=traffic,
        usage=_usage(settings, database, ledger),
        uploads=_upload_service(settings, database, file_service),
        watchers=Watchers(
            limit=settings.max_event_streams, per_tenant=settings.max_event_streams_per_tenant
        ),
        webhooks=_webhooks(settings, database),
    )


def _promotion(
    settings: Settings,
    database: Database,
    aliases: Aliases,
    catalogue: Catalogue,
    relay: Relay,
    file_service: FileService,
) -> Promotion:
    paths = file_storage(settings).path
    held_out = HeldOut(relay=relay, files=file_service, path=paths)
    gatekeeper = Gatekeeper(catalogue=catalogue, jobs=JobRecords(database), held_out=held_out)
    return Promotion(aliases, gatekeeper)


def _catalogue(settings: Settings, database: Database, residency: Residency) -> Catalogue:
    return Catalogue(
        base_model=settings.base_model_name,
        started_at=time.time(),
        adapters=AdapterRecords(database),
        aliases=AliasRecords(database),
        residency=residency,
        clock=time.time,
    )


def _authenticator(settings: Settings, database: Database) -> Authenticator:
    keys, policies = KeyRecords(database), TenantPolicies(database, default_policy(settings))
    return Authenticator(
        keys,
        uses=KeyUses(keys, clock=time.time),
        limits_of=lambda tenant_id: policies.of(tenant_id).limits,
        clock=time.time,
        timer=time.monotonic,
    )


def _file_service(settings: Settings, database: Database, *, max_bytes: int) -> FileService:
    jobs, batches = JobRecords(database), BatchRecords(database)
    return FileService(
        files=FileRecords(database),
        store=file_storage(settings, max_bytes=max_bytes),
        in_use=[
            functools.partial(jobs.using_file, statuses=UNFINISHED),
            functools.partial(batches.using_file, statuses=batch_transitions.UNFINISHED),
        ],
        quota=_quota(settings, database),
        clock=time.time,
    )


def _upload_service(
    settings: Settings, database: Database, file_service: FileService
) -> UploadService:
    return UploadService(
        uploads=UploadRecords(database),
        files=file_service,
        store=file_storage(settings),
        root=settings.home / "uploads",
        quota=_quota(settings, database),
        max_file_bytes=settings.max_file_bytes,
        clock=time.time,
    )


def _quota(settings: Settings, database: Database) -> QuotaOf:
    policies = TenantPolicies(database, default_policy(settings))

    def of(tenant_id: str) -> Quota:
        policy = policies.of(tenant_id)
        return Quota(
            files=policy.max_files,
            bytes=policy.max_file_bytes,
            pending_uploads=settings.max_pending_uploads,
        )

    return of


def _usage(settings: Settings, database: Database, ledger: Ledger) -> UsageReports:
    policies = TenantPolicies(database, default_policy(settings))
    return UsageReports(UsageRecords(database), ledger, StorageRecords(database), policies)


def _webhooks(settings: Settings, database: Database) -> WebhookService:
    destinations = Destinations.of(settings.webhook_hosts)
    return WebhookService(
        endpoints=EndpointRecords(database),
        outbox=Outbox(database),
        destinations=destinations,
        poster=Poster(destinations),
        clock=time.time,
    )


def _sender(settings: Settings, database: Database) -> Sender:
    return Sender(
        outbox=Outbox(database),
        endpoints=EndpointRecords(database),
        poster=Poster(Destinations.of(settings.webhook_hosts)),
        clock=time.time,
    )


def _batch_runner(settings: Settings, database: Database, relay: Relay) -> BatchRunner:
    bench = Bench(
        batches=BatchRecords(database),
        input_path=file_storage(settings).path,
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
    return BatchRunner(bench)


def _relay(
    settings: Settings,
    database: Database,
    engine: Engine,
    residency: Residency,
    metering: Metering,
    ledger: Ledger,
    traffic: Traffic,
) -> Relay:
    return Relay(
        engine=engine,
        resolver=Resolver(
            base_model=settings.base_model_name,
            adapters=AdapterRecords(database),
            aliases=AliasRecords(database),
            folders=adapter_store(settings),
        ),
        residency=residency,
        metering=metering,
        ledger=ledger,
        admission=Admission(
            places=settings.max_concurrent_requests,
            line=settings.max_queued_requests,
            slots=Slots(settings.max_loras),
            wait_s=settings.max_queue_wait_s,
        ),
        breaker=Breaker(timer=time.monotonic),
        shadows=Shadows(),
        traffic=traffic,
        salt=CacheSalt(read_or_make_secret(settings.home / "cache-salt.key")),
        timer=time.perf_counter,
    )
