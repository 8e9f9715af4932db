from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import select

from tests.archives import write_base_model
from tests.engines import ScriptedEngine
from tests.rows import NOW, an_endpoint
from tunery_adapters.base_files import BaseFiles
from tunery_adapters.store import AdapterStore
from tunery_server.files.service import FileService
from tunery_server.files.store import FileStore
from tunery_server.jobs.line import Line
from tunery_server.jobs.transitions import FINAL
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Job
from tunery_server.records.tables import webhook_deliveries
from tunery_server.records.tenant_rows import TenantPolicy
from tunery_server.records.tenants import TenantPolicies
from tunery_server.records.webhooks import EndpointRecords
from tunery_server.worker import attempt
from tunery_server.worker.attempt import Bench
from tunery_server.worker.publisher import Publisher

from .working import add_job


class StoppedClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def jobs(database: Database) -> Iterator[JobRecords]:
    """Whatever a test does with jobs, each that has ended was told of once, no other was."""
    EndpointRecords(database).add(an_endpoint())
    jobs = JobRecords(database)
    yield jobs
    columns = webhook_deliveries.c
    with database.reading() as connection:
        told = [tuple(row) for row in connection.execute(select(columns.object_id, columns.type))]
    ended = [(job.id, f"fine_tuning.job.{job.status}") for job in jobs.with_status(FINAL)]
    assert sorted(told) == sorted(ended)


@pytest.fixture
def history(database: Database) -> JobHistory:
    return JobHistory(database)


@pytest.fixture
def adapters(database: Database) -> AdapterRecords:
    return AdapterRecords(database)


@pytest.fixture
def server(valkey: str) -> "redis.Redis":
    client = redis.Redis.from_url(valkey)
    client.flushall()
    return client


@pytest.fixture
def queue(server: "redis.Redis") -> RedisQueue:
    return RedisQueue(server, lease_s=60)


@pytest.fixture
def policies(database: Database) -> TenantPolicies:
    return TenantPolicies(database, TenantPolicy(tenant_id=""))


@pytest.fixture
def line(queue: RedisQueue, policies: TenantPolicies, clock: StoppedClock) -> Line:
    return Line(queue=queue, policies=policies, clock=clock)


@pytest.fixture
def store(tmp_path: Path) -> AdapterStore:
    return AdapterStore(tmp_path / "adapters", max_rank=16)


@pytest.fixture
def publisher(
    store: AdapterStore,
    adapters: AdapterRecords,
    engine: ScriptedEngine,
    clock: StoppedClock,
    tmp_path: Path,
) -> Publisher:
    return Publisher(
        store=store,
        adapters=adapters,
        engine=engine,
        base=BaseFiles("base", str(write_base_model(tmp_path / "base"))),
        organization="tunery",
        load_timeout_s=10.0,
        clock=clock,
        timer=clock,
        sleep=clock.sleep,
    )


@pytest.fixture
def bench(
    database: Database,
    jobs: JobRecords,
    history: JobHistory,
    queue: RedisQueue,
    line: Line,
    policies: TenantPolicies,
    publisher: Publisher,
    clock: StoppedClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    monkeypatch.setattr(attempt, "WATCH_S", 0.01)
    store = FileStore(tmp_path / "files", max_bytes=10_000)
    files = FileService(files=FileRecords(database), store=store, in_use=[], clock=clock)
    return Bench(
        jobs=jobs,
        history=history,
        files=files,
        store=store,
        queue=queue,
        line=line,
        policies=policies,
        publisher=publisher,
        folder=tmp_path / "jobs",
        base_model_path="/base",
        max_length=64,
        threads=1,
        niceness=5,
        renew_s=0.05,
        clock=clock,
    )


@pytest.fixture
def job(bench: Bench) -> Job:
    """A job in line whose trainer finds its adapter made already."""
    return add_job(bench)
