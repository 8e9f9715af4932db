"""What every server under :class:`RedisQueue` has to do."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tunery_server.errors import QueueUnavailable
from tunery_server.queue.contract import JobQueue, Lease
from tunery_server.queue.redis_queue import RedisQueue

SHORT_S = 0.05
LONG_S = 60.0
_prefixes = (f"{{test-{number}}}" for number in itertools.count())

MakeQueue = Callable[..., RedisQueue]


@pytest.fixture
def server(queue_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(queue_url) as client:
        for _ in range(1000):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.01)
        client.flushall()
        yield client


@pytest.fixture
def make_queue(server: "redis.Redis") -> MakeQueue:
    """Queues on the same keys, as those of several processes are."""
    prefix = next(_prefixes)

    def make(lease_s: float = LONG_S) -> RedisQueue:
        return RedisQueue(server, lease_s=lease_s, prefix=prefix)

    return make


@pytest.fixture
def queue(make_queue: MakeQueue) -> JobQueue:
    return make_queue()


def until(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Return once the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


def claimed(queue: JobQueue) -> Lease:
    lease = queue.claim(wait_s=0)
    assert lease is not None
    return lease


class TestLine:
    def test_the_oldest_job_comes_first_whenever_it_was_put_in_line(self, queue: JobQueue) -> None:
        for job_id, created_at in [("b", 2.5), ("c", 3.0), ("a", 1.25)]:
            queue.enqueue(job_id, created_at=created_at)
        assert queue.waiting() == ("a", "b", "c")
        assert [claimed(queue).job_id for _ in range(3)] == ["a", "b", "c"]

    def test_jobs_of_the_same_moment_have_one_order(self, queue: JobQueue) -> None:
        for job_id in ("b", "a", "c"):
            queue.enqueue(job_id, created_at=1.0)
        assert queue.waiting() == ("a", "b", "c")

    def test_an_empty_line_gives_nothing(self, queue: JobQueue) -> None:
        assert queue.claim(wait_s=0) is None
        assert queue.waiting() == ()
        assert queue.leased() == frozenset()

    def test_putting_a_waiting_job_in_line_again_changes_nothing(self, queue: JobQueue) -> None:
        queue.enqueue("a", created_at=1.0)
        queue.enqueue("b", created_at=2.0)
        queue.enqueue("a", created_at=3.0)
        assert queue.waiting() == ("a", "b")

    def test_putting_a_leased_job_in_line_changes_nothing(self, queue: JobQueue) -> None:
        queue.enqueue("a", created_at=1.0)
        claimed(queue)
        queue.enqueue("a", created_at=1.0)
        assert queue.waiting() == ()

    def test_a_waiting_job_can_be_taken_out(self, queue: JobQueue) -> None:
        queue.enqueue("a", created_at=1.0)
        queue.remove("a")
        queue.remove("never there")
        assert queue.claim(wait_s=0) is None

    def test_taking_out_a_leased_job_leaves_its_lease(self, queue: JobQueue) -> None:
        queue.enqueue("a", created_at=1.0)
        lease = claimed(queue)
        queue.remove("a")
        assert queue.leased() == {"a"}
        assert queue.renew(lease)

    def test_a_claim_that_waits_is_woken_by_a_new_job(
        self, queue: JobQueue, server: "redis.Redis"
    ) -> None:
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(queue.claim, wait_s=30.0)
            until(lambda: server.info("clients")["blocked_clients"] == 1)
            queue.enqueue("a", created_at=1.0)
            lease = waiting.result(timeout=5)
        assert lease is not None
        assert lease.job_id == "a"

    def test_a_claim_that_waits_in_vain_ends(self, queue: JobQueue) -> None:
        assert queue.claim(wait_s=SHORT_S) is None

    def test_many_claimers_never_get_the_same_job(self, queue: JobQueue) -> None:
        jobs = [f"job-{number:03}" for number in range(200)]
        for number, job_id in enumerate(jobs):
            queue.enqueue(job_id, created_at=float(number))
        together = threading.Barrier(8)

        def claim_all() -> list[str]:
            together.wait()
            return [lease.job_id for lease in iter(lambda: queue.claim(wait_s=0), None)]

        with ThreadPoolExecutor(8) as pool:
            taken = [future.result() for future in [pool.submit(claim_all) for _ in range(8)]]
        assert sorted(itertools.chain.from_iterable(taken)) == jobs


class TestLease:
    def test_a_lease_is_held_until_it_is_given_back(self, queue: JobQueue) -> None:
        queue.enqueue("a", created_at=1.0)
        lease = claimed(queue)
        assert queue.leased() == {"a"}
        queue.finish(lease)
        assert queue.leased() == frozenset()
        queue.enqueue("a", created_at=1.0)
        assert claimed(queue).token != lease.token

    def test_giving_back_a_lease_twice_leaves_the_next_owner_alone(self, queue: JobQueue) -> None:
        queue.enqueue("a", created_at=1.0)
        first = claimed(queue)
        queue.finish(first)
        queue.enqueue("a", created_at=1.0)
        second = claimed(queue)
        queue.finish(first)
        assert queue.leased() == {"a"}
        assert queue.renew(second)

    def test_a_lease_that_is_not_renewed_expires(self, make_queue: MakeQueue) -> None:
        queue = make_queue(SHORT_S)
        queue.enqueue("a", created_at=1.0)
        claimed(queue)
        until(lambda: queue.leased() == frozenset())
        queue.enqueue("a", created_at=1.0)
        assert claimed(queue).job_id == "a"

    def test_a_renewed_lease_outlives_its_first_end(self, make_queue: MakeQueue) -> None:
        short, long = make_queue(SHORT_S), make_queue(LONG_S)
        short.enqueue("renewed", created_at=1.0)
        short.enqueue("silent", created_at=2.0)
        lease = claimed(short)
        claimed(short)
        assert long.renew(lease)
        until(lambda: short.leased() == {"renewed"})

    def test_renewing_is_refused_when_another_worker_holds_the_job(
        self, make_queue: MakeQueue
    ) -> None:
        queue = make_queue(SHORT_S)
        queue.enqueue("a", created_at=1.0)
        lost = claimed(queue)
        until(lambda: queue.leased() == frozenset())
        queue.enqueue("a", created_at=1.0)
        held = claimed(make_queue(LONG_S))
        assert not queue.renew(lost)
        assert make_queue(LONG_S).renew(held)
        assert queue.leased() == {"a"}

    def test_a_lease_that_the_server_forgot_is_taken_up_again(
        self, queue: JobQueue, server: "redis.Redis"
    ) -> None:
        queue.enqueue("a", created_at=1.0)
        lease = claimed(queue)
        server.flushall()
        assert queue.leased() == frozenset()
        assert queue.renew(lease)
        assert queue.leased() == {"a"}

    def test_renewing_takes_the_job_out_of_the_line(
        self, queue: JobQueue, server: "redis.Redis"
    ) -> None:
        """A reconciler may put a job in line between a loss of all data and the renewal."""
        queue.enqueue("a", created_at=1.0)
        lease = claimed(queue)
        server.flushall()
        queue.enqueue("a", created_at=1.0)
        assert queue.renew(lease)
        assert queue.waiting() == ()

    def test_scripts_survive_that_the_server_forgets_them(
        self, queue: JobQueue, server: "redis.Redis"
    ) -> None:
        queue.enqueue("a", created_at=1.0)
        server.script_flush()
        assert claimed(queue).job_id == "a"

    def test_nothing_of_an_ended_job_stays_behind(
        self, queue: JobQueue, server: "redis.Redis"
    ) -> None:
        for number in range(300):
            queue.enqueue(f"job-{number}", created_at=float(number))
            queue.finish(claimed(queue))
        [wake] = server.keys()
        assert server.llen(wake) <= 256


@pytest.mark.parametrize(
    "call",
    [
        lambda queue: queue.ping(),
        lambda queue: queue.enqueue("a", created_at=1.0),
        lambda queue: queue.claim(wait_s=0),
        lambda queue: queue.renew(Lease("a", "token")),
        lambda queue: queue.finish(Lease("a", "token")),
        lambda queue: queue.remove("a"),
        lambda queue: queue.waiting(),
        lambda queue: queue.leased(),
    ],
    ids=["ping", "enqueue", "claim", "renew", "finish", "remove", "waiting", "leased"],
)
def test_a_server_that_is_gone_is_said_to_be_unavailable(
    call: Callable[[JobQueue], object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    socket = tmp_path_factory.getbasetemp() / "nobody.sock"
    client = redis.Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0))
    with pytest.raises(QueueUnavailable):
        call(RedisQueue(client, lease_s=LONG_S))
