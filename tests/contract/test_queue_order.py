"""Whose job is next: fair shares, priority, patience, limits, and what fits."""

from collections import Counter
from itertools import groupby

import pytest
import redis

from tests.queues import SHORT_S, MakeQueue, an_entry, claimed, in_line, until
from tests.rows import NOW
from tunery_server.queue.contract import JobQueue, Need, Offer, Share, Yielding

GIB = 2**30


def fill(queue: JobQueue, tenant: str, jobs: int, **values: object) -> None:
    for number in range(jobs):
        entry = an_entry(f"{tenant}-{number:04}", tenant, created_at=NOW + number, **values)
        queue.enqueue(entry)


def run(queue: JobQueue, jobs: int) -> list[str]:
    """Tenants in the order in which so many jobs start, each ending before the next begins."""
    order = []
    for _ in range(jobs):
        lease = claimed(queue)
        order.append(lease.tenant_id)
        queue.finish(lease)
    return order


def taken(queue: JobQueue, offer: Offer | None = None) -> list[str]:
    """The jobs that are claimed until there is nothing more to have."""
    found = []
    while lease := queue.claim(wait_s=0, offer=offer or Offer()):
        found.append(lease.job_id)
    return found


class TestFairShare:
    @pytest.mark.promise("P21", fault="a hundred jobs in line before the ten of another tenant")
    def test_a_long_line_does_not_hold_up_a_short_one(self, queue: JobQueue) -> None:
        fill(queue, "many", 100)
        fill(queue, "few", 10)
        assert Counter(run(queue, 20)) == {"many": 10, "few": 10}
        assert set(run(queue, 90)) == {"many"}

    def test_weights_divide_the_starts(self, queue: JobQueue) -> None:
        fill(queue, "heavy", 100, share=Share(weight=3))
        fill(queue, "light", 100)
        order = run(queue, 80)
        assert Counter(order) == {"heavy": 60, "light": 20}
        assert max(len(list(same)) for _, same in groupby(order)) <= 4

    def test_weights_divide_places_that_are_held_too(self, queue: JobQueue) -> None:
        fill(queue, "heavy", 100, share=Share(weight=3))
        fill(queue, "light", 100)
        assert Counter(claimed(queue).tenant_id for _ in range(40)) == {"heavy": 30, "light": 10}

    def test_time_that_a_tenant_did_not_use_is_not_saved_up(self, queue: JobQueue) -> None:
        fill(queue, "busy", 300)
        run(queue, 100)
        fill(queue, "idle", 100)
        assert Counter(run(queue, 20)) == {"busy": 10, "idle": 10}

    def test_one_that_comes_and_goes_has_no_more_than_its_share(self, queue: JobQueue) -> None:
        fill(queue, "steady", 100, share=Share(weight=3))
        starts: Counter[str] = Counter()
        for number in range(80):
            queue.enqueue(an_entry(f"guest-{number}", "guest"))
            starts.update(run(queue, 1))
        assert starts["guest"] == pytest.approx(20, abs=2)

    def test_tenants_of_one_job_each_are_served_in_the_order_in_which_they_came(
        self, queue: JobQueue
    ) -> None:
        tenants = [f"tenant-{number * 7919 % 1000:03}" for number in range(1000)]
        for tenant in tenants:
            queue.enqueue(an_entry(f"job-of-{tenant}", tenant))
        assert run(queue, 1000) == tenants

    def test_a_share_can_be_changed_while_jobs_wait(self, queue: JobQueue) -> None:
        fill(queue, "a", 100)
        fill(queue, "b", 100)
        run(queue, 10)
        queue.set_share("a", Share(weight=3))
        assert Counter(run(queue, 40))["a"] == pytest.approx(30, abs=1)

    def test_a_share_of_a_tenant_without_jobs_leaves_nothing(
        self, queue: JobQueue, server: "redis.Redis"
    ) -> None:
        queue.set_share("nobody", Share(weight=3))
        assert server.keys() == []


class TestPriority:
    def test_the_higher_is_the_sooner_and_the_older_of_equals(self, queue: JobQueue) -> None:
        for job_id, priority, created_at in [
            ("low", -100, NOW - 9),
            ("new", 0, NOW),
            ("old", 0, NOW - 1),
            ("high", 100, NOW + 9),
        ]:
            queue.enqueue(an_entry(job_id, priority=priority, created_at=created_at))
        expected = ["high", "old", "new", "low"]
        assert in_line(queue, expected) == expected
        assert taken(queue) == expected

    def test_it_counts_for_nothing_between_tenants(self, queue: JobQueue) -> None:
        fill(queue, "modest", 10)
        fill(queue, "urgent", 10, priority=100)
        assert Counter(run(queue, 10)) == {"modest": 5, "urgent": 5}

    def test_patience_ends_for_one_that_waited_for_too_long(self, make_queue: MakeQueue) -> None:
        queue = make_queue(patience_s=3600)
        queue.enqueue(an_entry("low", priority=-100, waited_s=3601))
        queue.enqueue(an_entry("lower", priority=-99, waited_s=3500))
        queue.enqueue(an_entry("high", priority=100))
        assert taken(queue) == ["low", "high", "lower"]

    def test_patience_gives_a_tenant_no_more_than_its_turn(self, make_queue: MakeQueue) -> None:
        queue = make_queue(patience_s=3600)
        fill(queue, "flood", 50, waited_s=7200)
        fill(queue, "guest", 5)
        assert Counter(run(queue, 10)) == {"flood": 5, "guest": 5}


class TestLimits:
    def test_a_tenant_runs_no_more_jobs_than_it_may(self, queue: JobQueue) -> None:
        fill(queue, "bound", 5, share=Share(max_running=2))
        first, second = claimed(queue), claimed(queue)
        assert queue.claim(wait_s=0) is None
        queue.finish(first)
        claimed(queue)
        assert queue.claim(wait_s=0) is None
        queue.finish(second)
        claimed(queue)

    def test_its_limit_does_not_hold_up_others(self, queue: JobQueue) -> None:
        fill(queue, "bound", 100, share=Share(max_running=1))
        fill(queue, "free", 5)
        assert Counter(job.partition("-")[0] for job in taken(queue)) == {"bound": 1, "free": 5}

    def test_no_running_job_at_all_is_a_limit(self, queue: JobQueue) -> None:
        fill(queue, "held", 1, share=Share(max_running=0))
        assert queue.claim(wait_s=0) is None
        queue.set_share("held", Share())
        claimed(queue)

    def test_an_expired_lease_counts_no_more(self, make_queue: MakeQueue) -> None:
        queue = make_queue(SHORT_S)
        fill(queue, "bound", 2, share=Share(max_running=1))
        lost = claimed(queue).job_id
        until(lambda: queue.sweep() == {lost})
        assert claimed(queue).job_id != lost

    def test_a_limit_holds_after_all_was_forgotten(
        self, queue: JobQueue, server: "redis.Redis"
    ) -> None:
        share = Share(max_running=1)
        queue.enqueue(an_entry("running", share=share))
        lease = claimed(queue)
        server.flushall()
        queue.enqueue(an_entry("waiting", share=share))
        assert queue.renew(lease)
        assert queue.claim(wait_s=0) is None
        queue.finish(lease)
        assert claimed(queue).job_id == "waiting"


class TestDelay:
    @pytest.mark.promise("P7", fault="a worker asks for a job that backs off")
    def test_a_job_that_backs_off_is_not_in_line_before_its_time(self, queue: JobQueue) -> None:
        queue.enqueue(an_entry("later", delay_s=SHORT_S))
        assert queue.claim(wait_s=0) is None
        assert queue.positions(["later"]) == {}
        assert queue.unknown(["later", "never"]) == {"never"}
        until(lambda: queue.claim(wait_s=0) is not None)

    def test_it_can_be_taken_out(self, queue: JobQueue) -> None:
        queue.enqueue(an_entry("later", delay_s=SHORT_S))
        queue.remove("later")
        assert queue.unknown(["later"]) == {"later"}
        assert queue.claim(wait_s=SHORT_S * 2) is None


class TestFit:
    def test_a_worker_gets_only_what_it_has_room_for(self, queue: JobQueue) -> None:
        queue.enqueue(an_entry("large", "a", need=Need(20 * GIB), created_at=NOW))
        queue.enqueue(an_entry("small", "a", need=Need(4 * GIB), created_at=NOW + 1))
        queue.enqueue(an_entry("unknown", "b"))
        queue.enqueue(an_entry("wide", "b", need=Need(0, devices=2)))
        assert sorted(taken(queue, Offer(8 * GIB))) == ["small", "unknown"]
        assert taken(queue, Offer(24 * GIB)) == ["large"]
        assert taken(queue, Offer(24 * GIB, devices=2)) == ["wide"]

    def test_needs_that_are_alike_are_in_one_lane_and_none_is_understated(
        self, queue: JobQueue
    ) -> None:
        queue.enqueue(an_entry("job", need=Need(17 * GIB + 1)))
        assert queue.claim(wait_s=0, offer=Offer(17 * GIB)) is None
        assert claimed(queue, offer=Offer(20 * GIB)).job_id == "job"

    def test_what_fits_nowhere_holds_up_nobody(self, queue: JobQueue) -> None:
        for number in range(200):
            need = Need((number + 100) * GIB)
            queue.enqueue(an_entry(f"huge-{number}", f"t{number}", need=need))
        fill(queue, "zebra", 3, need=Need(GIB))
        assert taken(queue, Offer(8 * GIB)) == ["zebra-0000", "zebra-0001", "zebra-0002"]

    def test_a_tenants_priority_counts_across_needs(self, queue: JobQueue) -> None:
        queue.enqueue(an_entry("first", priority=1, need=Need(2 * GIB)))
        queue.enqueue(an_entry("second", need=Need(GIB)))
        queue.enqueue(an_entry("third", priority=-1, need=Need(2 * GIB)))
        expected = ["first", "second", "third"]
        assert in_line(queue, expected) == expected
        assert taken(queue, Offer(2 * GIB)) == expected

    def test_a_busy_worker_is_kept_for_a_large_job_that_waited_for_too_long(
        self, make_queue: MakeQueue
    ) -> None:
        queue = make_queue(patience_s=3600)
        queue.enqueue(an_entry("large", "a", need=Need(8 * GIB), waited_s=3601))
        queue.enqueue(an_entry("small", "b", need=Need(GIB)))
        busy = Offer(4 * GIB, 1, whole_memory_bytes=8 * GIB, whole_devices=2)
        assert queue.claim(wait_s=0, offer=busy) is None
        assert claimed(queue, offer=Offer(8 * GIB, 2)).job_id == "large"
        assert claimed(queue, offer=busy).job_id == "small"

    def test_a_busy_worker_is_filled_up_while_patience_lasts(self, queue: JobQueue) -> None:
        queue.enqueue(an_entry("large", "a", need=Need(8 * GIB)))
        queue.enqueue(an_entry("small", "a", need=Need(GIB), priority=-1))
        busy = Offer(4 * GIB, 1, whole_memory_bytes=8 * GIB, whole_devices=2)
        assert claimed(queue, offer=busy).job_id == "small"

    def test_the_largest_machine_is_known(self, queue: JobQueue) -> None:
        assert queue.largest_machine() is None
        for total in (24 * GIB + 1, 80 * GIB + 1):
            queue.claim(wait_s=0, offer=Offer(GIB, machine_memory_bytes=total))
        assert queue.largest_machine() == 80 * GIB + 1


class TestYielding:
    def test_a_higher_priority_takes_the_place_of_a_running_job(self, queue: JobQueue) -> None:
        share = Share(max_running=1)
        queue.enqueue(an_entry("low", priority=-1, share=share))
        lease = claimed(queue)
        queue.enqueue(an_entry("same", priority=-1, share=share))
        assert queue.claim(wait_s=0) is None, "the tenant's limit"
        assert queue.claim(wait_s=0, instead_of=Yielding("low", -1)) is None
        assert queue.claim(wait_s=0) is None, "the limit holds again"
        queue.enqueue(an_entry("high", priority=0, share=share))
        assert claimed(queue, instead_of=Yielding("low", -1)).job_id == "high"
        assert queue.renew(lease)
        assert queue.leased() == {"low", "high"}
        queue.finish(lease)
        assert queue.claim(wait_s=0) is None, "the limit is now the other job's"

    def test_a_job_that_yields_for_nothing_counts_again(self, queue: JobQueue) -> None:
        """The job that was to come in its place may turn out to have been cancelled."""
        share = Share(max_running=1)
        queue.enqueue(an_entry("low", priority=-1, share=share))
        lease = claimed(queue)
        queue.enqueue(an_entry("high", priority=0, share=share))
        queue.finish(claimed(queue, instead_of=Yielding("low", -1)))
        assert queue.renew(lease)
        queue.enqueue(an_entry("next", priority=-1, share=share))
        assert queue.claim(wait_s=0) is None, "the tenant's limit"

    def test_whose_turn_it_is_decides_between_tenants(self, queue: JobQueue) -> None:
        fill(queue, "first", 2, priority=-5)
        claimed(queue)
        fill(queue, "second", 1, priority=5)
        assert claimed(queue, instead_of=Yielding("first-0000", -5)).tenant_id == "second"
