"""Composes the worker. The only module of the worker that names concrete classes."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from threading import Thread

import redis

from tunery_adapters.base_files import BaseFiles
from tunery_adapters.store import AdapterStore
from tunery_server.batches import transitions
from tunery_server.config import Settings
from tunery_server.engine.command import detect_device
from tunery_server.engine.vllm_http import VllmEngine
from tunery_server.files.blobs import BlobStore
from tunery_server.files.service import FileService
from tunery_server.files.storage import file_storage
from tunery_server.jobs.line import Line
from tunery_server.jobs.transitions import UNFINISHED
from tunery_server.processes import memory
from tunery_server.queue import durability
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.batches import BatchRecords
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.tenants import TenantPolicies, default_policy
from tunery_server.telemetry.logging import configure
from tunery_server.worker.attempt import Bench
from tunery_server.worker.capacity import Capacity, Memory, cuda_memory, system_memory
from tunery_server.worker.loop import Worker
from tunery_server.worker.publisher import Publisher
from tunery_server.worker.reconciler import Reconciler

_RENEWALS_PER_LEASE = 4
_RECORD_PATIENCE_S = 600.0
"""A trainer that waits for its worker, which waits for the database, loses nothing but time."""
_LOAD_TIMEOUT_S = 300.0
"""An engine that has to start anew is waited for so long before a job ends without it."""


def run(settings: Settings) -> None:
    """Work until SIGTERM."""
    memory.few_arenas()
    configure(settings.log_level, process="worker")
    durability.check(settings)
    database = Database(settings.database, patience_s=_RECORD_PATIENCE_S)
    database.migrate()
    asyncio.run(_run(settings, database))
    database.close()


async def _run(settings: Settings, database: Database) -> None:
    engine = VllmEngine(
        settings.engine_socket,
        settings.engine_key_file.read_text,
        request_timeout_s=settings.request_timeout_s,
    )
    worker = _compose(settings, database, engine)
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, worker.stop)
    try:
        await worker.run()
    finally:
        await engine.close()


def _compose(settings: Settings, database: Database, engine: VllmEngine) -> Worker:
    bench = _bench(settings, database, engine)
    reconciler = Reconciler(
        jobs=bench.jobs,
        history=bench.history,
        queue=bench.queue,
        line=bench.line,
        max_attempts=settings.max_attempts,
        clock=time.time,
    )
    capacity = Capacity(
        slots=settings.worker_slots, measure=_memory(settings), timer=time.monotonic
    )
    return Worker(bench, reconciler, capacity, patience_s=settings.queue_patience_s)


def _bench(settings: Settings, database: Database, engine: VllmEngine) -> Bench:
    queue = RedisQueue(
        redis.Redis.from_url(settings.redis),
        lease_s=settings.lease_s,
        patience_s=settings.queue_patience_s,
    )
    policies = TenantPolicies(database, default_policy(settings))
    store = file_storage(settings)
    return Bench(
        jobs=JobRecords(database),
        history=JobHistory(database),
        files=_files(database, store),
        store=store,
        queue=queue,
        line=Line(queue=queue, policies=policies, clock=time.time),
        policies=policies,
        publisher=_publisher(settings, database, engine),
        folder=settings.home / "jobs",
        base_model_path=settings.base_model_path,
        max_length=settings.training_length,
        threads=settings.threads_of_a_trainer,
        niceness=settings.trainer_niceness,
        renew_s=settings.lease_s / _RENEWALS_PER_LEASE,
        clock=time.time,
    )


def _publisher(settings: Settings, database: Database, engine: VllmEngine) -> Publisher:
    publisher = Publisher(
        store=AdapterStore(settings.home / "adapters", max_rank=settings.max_lora_rank),
        adapters=AdapterRecords(database),
        engine=engine,
        base=BaseFiles(settings.base_model_name, settings.base_model_path),
        organization=settings.organization,
        load_timeout_s=_LOAD_TIMEOUT_S,
        clock=time.time,
        timer=time.monotonic,
    )
    # So that it is known by the time that the first adapter is published.
    Thread(target=publisher.base_sha256, daemon=True).start()
    return publisher


def _memory(settings: Settings) -> Callable[[], Memory]:
    """Of the device that trainers take: the first that they may see."""
    if detect_device(settings) == "cpu":
        return system_memory
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return partial(cuda_memory, visible[0] or "0")


def _files(database: Database, store: BlobStore) -> FileService:
    jobs, batches = JobRecords(database), BatchRecords(database)
    return FileService(
        files=FileRecords(database),
        store=store,
        in_use=[
            partial(jobs.using_file, statuses=UNFINISHED),
            partial(batches.using_file, statuses=transitions.UNFINISHED),
        ],
        clock=time.time,
    )
