from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import select

from tests.engines import ScriptedEngine
from tests.rows import NOW, an_endpoint
from tunery_adapters.store import AdapterStore
from tunery_server.jobs.transitions import FINAL
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.tables import webhook_deliveries
from tunery_server.records.webhooks import EndpointRecords
from tunery_server.worker.publisher import Publisher


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
def store(tmp_path: Path) -> AdapterStore:
    return AdapterStore(tmp_path / "adapters", max_rank=16)


@pytest.fixture
def publisher(
    store: AdapterStore, adapters: AdapterRecords, engine: ScriptedEngine, clock: StoppedClock
) -> Publisher:
    return Publisher(
        store=store,
        adapters=adapters,
        engine=engine,
        organization="tunery",
        load_timeout_s=10.0,
        clock=clock,
        sleep=clock.sleep,
    )
