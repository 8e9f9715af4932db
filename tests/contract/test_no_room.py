"""A queue whose server has no room takes no job; without memory, all that it has goes on."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.queues import LONG_S, an_entry, claimed, in_line, until
from tests.redis_servers import KINDS, RedisServer
from tunery_server.errors import QueueUnavailable
from tunery_server.queue.contract import JobQueue, Share
from tunery_server.queue.redis_queue import RedisQueue

no_memory = pytest.mark.promise("P10", fault="a queue's server has no memory left")
LEASE_S = 0.5


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def server(kind: str, tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(kind, tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server_on_small_disk(kind: str, small_disk: Path) -> Iterator[RedisServer]:
    server = RedisServer(kind, small_disk)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def queue(server: RedisServer) -> JobQueue:
    return RedisQueue(server.client, lease_s=LONG_S)


@no_memory
def test_it_says_so_before_a_job_is_written(server: RedisServer, queue: JobQueue) -> None:
    queue.ping()
    before = set(server.client.scan_iter())
    server.fill()
    with pytest.raises(QueueUnavailable):
        queue.ping()
    with pytest.raises(QueueUnavailable):
        queue.enqueue(an_entry("late"))
    assert set(server.client.scan_iter()) == before
    server.make_room()
    queue.ping()
    queue.enqueue(an_entry("late"))


@no_memory
def test_running_jobs_keep_their_leases_and_waiting_ones_are_run(
    server: RedisServer, queue: JobQueue
) -> None:
    for number in range(3):
        queue.enqueue(an_entry(f"job-{number}", created_at=number))
    running = claimed(queue)
    server.fill()
    assert queue.renew(running)
    queue.set_share("acme", Share(weight=2.0))
    queue.remove("job-1")
    queue.finish(running)
    assert queue.sweep() == frozenset()
    last = claimed(queue)
    assert last.job_id == "job-2"
    queue.finish(last)
    assert queue.leased() == frozenset()
    server.make_room()
    assert in_line(queue, ["job-0", "job-1", "job-2"]) == []
    queue.enqueue(an_entry("job-1"))
    assert claimed(queue).job_id == "job-1"


@no_memory
def test_a_lease_that_ran_out_is_swept(server: RedisServer, queue: JobQueue) -> None:
    queue.enqueue(an_entry("lost"))
    RedisQueue(server.client, lease_s=0.001).claim(wait_s=0)
    server.fill()
    until(lambda: queue.sweep() == {"lost"})
    assert queue.unknown(["lost"]) == {"lost"}


@pytest.mark.promise("P10", fault="the disk of a queue's server is full")
def test_without_a_disk_no_lease_is_dropped_that_could_not_be_renewed(
    server_on_small_disk: RedisServer, small_disk: Path
) -> None:
    queue = RedisQueue(server_on_small_disk.client, lease_s=LEASE_S)
    queue.enqueue(an_entry("runs", created_at=1))
    queue.enqueue(an_entry("waits", created_at=2))
    running = claimed(queue)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free))
    until(lambda: refuses(queue.ping))
    until(lambda: "runs" not in queue.leased())
    for call in (queue.sweep, lambda: queue.renew(running), lambda: queue.claim(wait_s=0)):
        assert refuses(call)
    filler.unlink()
    until(lambda: not refuses(queue.ping))
    assert queue.renew(running)
    assert queue.sweep() == frozenset()
    assert claimed(queue).job_id == "waits"


def refuses(call: Callable[[], object]) -> bool:
    try:
        call()
    except QueueUnavailable:
        return True
    return False
