"""200 confirmed jobs, and then the queue's server is killed, durable or not."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.intake import an_intake
from tests.queues import LONG_S, claimed
from tests.redis_servers import KINDS, RedisServer
from tests.rows import a_file
from tunery_server.jobs.line import Line
from tunery_server.jobs.request import JobRequest
from tunery_server.jobs.service import JobService
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.tenant_rows import TenantPolicy
from tunery_server.records.tenants import TenantPolicies
from tunery_server.worker.reconciler import Reconciler

JOBS = 200
pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[RedisServer]]:
    servers: list[RedisServer] = []
    yield servers
    for server in servers:
        server.kill()


def create_and_kill(server: RedisServer, database: Database) -> list[str]:
    """Confirmed jobs, as the gateway makes them; the server has died when this returns."""
    files = FileRecords(database)
    files.add(a_file(id="file-good"))
    service = JobService(
        jobs=JobRecords(database),
        history=JobHistory(database),
        intake=an_intake(database),
        queue=queue_of(server),
        policies=TenantPolicies(database, TenantPolicy(tenant_id="")),
        clock=time.time,
    )
    request = JobRequest(model="base", training_file="file-good")
    created = [service.create("acme", request).id for _ in range(JOBS)]
    server.kill()
    return created


def queue_of(server: RedisServer) -> RedisQueue:
    return RedisQueue(server.client, lease_s=LONG_S)


def look(server: RedisServer, database: Database) -> None:
    """What a worker does every few seconds."""
    queue, policies = queue_of(server), TenantPolicies(database, TenantPolicy(tenant_id=""))
    Reconciler(
        jobs=JobRecords(database),
        history=JobHistory(database),
        queue=queue,
        line=Line(queue=queue, policies=policies, clock=time.time),
        max_attempts=3,
        clock=time.time,
    ).look()


def all_claimed(server: RedisServer) -> list[str]:
    queue = queue_of(server)
    return [claimed(queue).job_id for _ in range(JOBS)]


@pytest.mark.promise("P1", fault="SIGKILL of a durable Redis after the 200th confirmed job")
def test_every_job_is_found_in_line(
    servers: list[RedisServer], tmp_path: Path, database: Database, kind: str
) -> None:
    servers.append(server := RedisServer(kind, tmp_path))
    server.start()
    created = create_and_kill(server, database)
    server.start()
    assert set(queue_of(server).positions(created)) == set(created)
    look(server, database)
    assert all_claimed(server) == created


@pytest.mark.promise("P1", fault="SIGKILL of a Redis that forgets all after the 200th job")
def test_the_record_has_what_a_redis_that_forgets_has_lost(
    servers: list[RedisServer], tmp_path: Path, database: Database, kind: str
) -> None:
    servers.append(server := RedisServer(kind, tmp_path, appendonly="no"))
    server.start()
    created = create_and_kill(server, database)
    server.start()
    assert queue_of(server).positions(created) == {}, "nothing was lost: the control shows nothing"
    look(server, database)
    assert all_claimed(server) == created
