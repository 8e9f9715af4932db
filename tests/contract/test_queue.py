"""What every server under :class:`RedisQueue` has to do."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.queues import LONG_S, SHORT_S, MakeQueue, an_entry, claimed, in_line, until
from tunery_server.errors import QueueUnavailable
from tunery_server.queue.contract import JobQueue, Lease, Share
from tunery_server.queue.redis_queue import RedisQueue


class TestLine:
    def test_the_oldest_job_comes_first_whenever_it_was_put_in_line(self, queue: JobQueue) -> None:
        for job_id, created_at in [("b", 2.5), ("c", 3.0), ("a", 1.25)]:
            queue.enqueue(an_entry(job_id, created_at=created_at))
        assert in_line(queue, "abc") == ["a", "b", "c"]
        assert [claimed(queue).job_id for _ in range(3)] == ["a", "b", "c"]

    def test_jobs_of_the_same_moment_have_one_order(self, queue: JobQueue) -> None:
        for job_id in ("b", "a", "c"):
            queue.enqueue(an_entry(job_id, created_at=1.0))
        assert in_line(queue, "abc") == ["a", "b", "c"]

    def test_an_empty_line_gives_nothing(self, queue: JobQueue) -> None:
        assert queue.claim(wait_s=0) is None
        assert in_line(queue, "a") == []
        assert queue.leased() == frozenset()

    def test_putting_a_waiting_job_in_line_again_changes_nothing(self, queue: JobQueue) -> None:
        queue.enqueue(an_entry("a", created_at=1.0))
        queue.enqueue(an_entry("b", created_at=2.0))
        queue.enqueue(an_entry("a", created_at=3.0))
        assert in_line(queue, "ab") == ["a", "b"]

    def test_putting_a_leased_job_in_line_changes_nothing(self, queue: JobQueue) -> None:
        queue.enqueue(an_entry("a", created_at=1.0))
        claimed(queue)
        queue.enqueue(an_entry("a", created_at=1.0))
        assert in_line(queue, "a") == []

    def test_a_waiting_job_can_be_taken_out(self, queue: JobQueue) -> None:
        queue.enqueue(an_entry("a", created_at=1.0))
        queue.remove("a")
        queue.remove("never there")
        assert queue.claim(wait_s=0) is None

    def test_taking_out_a_leased_job_leaves_its_lease(self, queue: JobQueue) -> None:
        queue.enqueue(an_entry("a", created_at=1.0))
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
            queue.enqueue(an_entry("a", created_at=1.0))
            lease = waiting.result(timeout=25)
        assert lease is not None
        assert lease.job_id == "a"

    def test_a_claim_that_waits_in_vain_ends(self, queue: JobQueue) -> None:
        assert queue.claim(wait_s=SHORT_S) is None

    @pytest.mark.promise("P4", fault="many workers claim at once")
    def test_many_claimers_never_get_the_same_job(self, queue: JobQueue) -> None:
        jobs = [f"job-{number:03}" for number in range(200)]
        for number, job_id in enumerate(jobs):
            queue.enqueue(an_entry(job_id, created_at=float(number)))
        together = threading.Barrier(8)

        def claim_all() -> list[str]:
            together.wait()
            return [lease.job_id for lease in iter(lambda: queue.claim(wait_s=0), None)]

        with ThreadPoolExecutor(8) as pool:
            taken = [future.result() for future in [pool.submit(claim_all) for _ in range(8)]]
        assert sorted(itertools.chain.from_iterable(taken)) == jobs


class TestLease:
    def test_a_lease_is_held_until_it_is_given_back(self, queue: JobQueue) -> None:
        queue.enqueue(an_entry("a", created_at=1.0))
        lease = claimed(queue)
        assert queue.leased() == {"a"}
        queue.finish(lease)
        assert queue.leased() == frozenset()
        queue.enqueue(an_entry("a", created_at=1.0))
        assert claimed(queue).token != lease.token

    def test_giving_back_a_lease_twice_leaves_the_next_owner_alone(self, queue: JobQueue) -> None:
        queue.enqueue(an_entry("a", created_at=1.0))
        first = claimed(queue)
        queue.finish(first)
        queue.enqueue(an_entry("a", created_at=1.0))
        second = claimed(queue)
        queue.finish(first)
        assert queue.leased() == {"a"}
        assert queue.renew(second)

    def test_a_lease_that_is_not_renewed_expires(self, make_queue: MakeQueue) -> None:
        queue = make_queue(SHORT_S)
        queue.enqueue(an_entry("a", created_at=1.0))
        claimed(queue)
        until(lambda: queue.leased() == frozenset())
        queue.enqueue(an_entry("a", created_at=1.0))
        assert claimed(queue).job_id == "a"

    @pytest.mark.promise("P4", fault="a lease is held for longer than its length")
    def test_a_renewed_lease_outlives_its_first_end(self, make_queue: MakeQueue) -> None:
        short, long = make_queue(SHORT_S), make_queue(LONG_S)
        short.enqueue(an_entry("renewed", created_at=1.0))
        short.enqueue(an_entry("silent", created_at=2.0))
        lease = claimed(short)
        claimed(short)
        assert long.renew(lease)
        until(lambda: short.leased() == {"renewed"})

    def test_renewing_is_refused_when_another_worker_holds_the_job(
        self, make_queue: MakeQueue
    ) -> None:
        queue = make_queue(SHORT_S)
        queue.enqueue(an_entry("a", created_at=1.0))
        lost = claimed(queue)
        until(lambda: queue.leased() == frozenset())
        queue.enqueue(an_entry("a", created_at=1.0))
        held = claimed(make_queue(LONG_S))
        assert not queue.renew(lost)
        assert make_queue(LONG_S).renew(held)
        assert queue.leased() == {"a"}

    def test_a_lease_that_the_server_forgot_is_taken_up_again(
        self, queue: JobQueue, server: "redis.Redis"
    ) -> None:
        queue.enqueue(an_entry("a", created_at=1.0))
        lease = claimed(queue)
        server.flushall()
        assert queue.leased() == frozenset()
        assert queue.renew(lease)
        assert queue.leased() == {"a"}

    def test_renewing_takes_the_job_out_of_the_line(
        self, queue: JobQueue, server: "redis.Redis"
    ) -> None:
        """A reconciler may put a job in line between a loss of all data and the renewal."""
        queue.enqueue(an_entry("a", created_at=1.0))
        lease = claimed(queue)
        server.flushall()
        queue.enqueue(an_entry("a", created_at=1.0))
        assert queue.renew(lease)
        assert in_line(queue, "a") == []

    def test_scripts_survive_that_the_server_forgets_them(
        self, queue: JobQueue, server: "redis.Redis"
    ) -> None:
        queue.enqueue(an_entry("a", created_at=1.0))
        server.script_flush()
        assert claimed(queue).job_id == "a"

    def test_nothing_of_an_ended_job_stays_behind(
        self, queue: JobQueue, server: "redis.Redis"
    ) -> None:
        for number in range(300):
            queue.enqueue(an_entry(f"job-{number}", created_at=float(number)))
            queue.finish(claimed(queue))
        keys = {key.decode().partition(":")[2]: key for key in server.scan_iter()}
        assert keys.keys() <= {"wake", "clock", "lanes", "tenant:acme"}
        assert server.llen(keys["wake"]) <= 64
        assert server.ttl(keys["tenant:acme"]) > 0, "what an idle tenant owes is forgotten in time"


@pytest.mark.parametrize(
    "call",
    [
        lambda queue: queue.ping(),
        lambda queue: queue.enqueue(an_entry("a", created_at=1.0)),
        lambda queue: queue.claim(wait_s=0),
        lambda queue: queue.renew(Lease("a", "token")),
        lambda queue: queue.finish(Lease("a", "token")),
        lambda queue: queue.remove("a"),
        lambda queue: queue.positions(["a"]),
        lambda queue: queue.unknown(["a"]),
        lambda queue: queue.leased(),
        lambda queue: queue.sweep(),
        lambda queue: queue.set_share("acme", Share()),
        lambda queue: queue.largest_machine(),
    ],
)
def test_a_server_that_is_gone_is_said_to_be_unavailable(
    call: Callable[[JobQueue], object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    socket = tmp_path_factory.getbasetemp() / "nobody.sock"
    client = redis.Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0))
    with pytest.raises(QueueUnavailable):
        call(RedisQueue(client, lease_s=LONG_S))
