"""The servers that queue and record have to run on, and a gateway that listens."""

import itertools
from collections.abc import Iterator

import pytest
import redis
from sqlalchemy import text

from tests.postgres import PostgresServer
from tests.queues import LONG_S, MakeQueue
from tests.redis_servers import RedisServer
from tunery_server.queue.contract import JobQueue
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.database import Database
from tunery_server.records.tables import metadata

from .live import Live, listening

_prefixes = (f"{{test-{number}}}" for number in itertools.count())


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real Redis, where the machine has one."""
    server = RedisServer("redis-server", tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.kill()


@pytest.fixture(params=["valkey", "redis_server"])
def queue_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def server(queue_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(queue_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def make_queue(server: "redis.Redis") -> MakeQueue:
    """Queues on the same keys, as those of several processes are."""
    prefix = next(_prefixes)

    def make(lease_s: float = LONG_S, patience_s: float = 3600.0) -> RedisQueue:
        return RedisQueue(server, lease_s=lease_s, patience_s=patience_s, prefix=prefix)

    return make


@pytest.fixture
def queue(make_queue: MakeQueue) -> JobQueue:
    return make_queue()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_record(postgres: PostgresServer) -> Iterator[Database]:
    database = Database(postgres.new_database())
    yield database
    database.close()


@pytest.fixture
def emptied_record(postgres_record: Database) -> Database:
    """To make one anew takes a hundred times as long."""
    names = ", ".join(table.name for table in metadata.sorted_tables)
    with postgres_record.writing() as connection:
        connection.execute(text(f"TRUNCATE {names}"))
    return postgres_record


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty record with the newest schema."""
    if request.param == "postgres":
        yield request.getfixturevalue("emptied_record")
        return
    database = Database(f"sqlite:///{request.getfixturevalue('migrated_copy')}")
    yield database
    database.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, valkey: str) -> Iterator[Live]:
    """A module's own gateway, empty but for two tenants' keys."""
    with listening(tmp_path_factory.mktemp("live"), valkey) as live:
        yield live
