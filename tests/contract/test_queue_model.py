"""Whatever happens to the queue, in whatever order, it does what a plain model says is right.

The model does not compute whose turn it is; it holds every claim to what was promised: the job
waits, fits, is its tenant's next and within its limit; nothing is withheld; and of two tenants that
wait all the time neither gets ahead by more than one job of each (the bound of start-time fair
queueing).
"""

from dataclasses import dataclass, field
from itertools import count, permutations

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.queues import an_entry
from tests.rows import NOW
from tunery_server.queue.contract import Entry, Lease, Need, Offer, Share, Yielding
from tunery_server.queue.lanes import rounded
from tunery_server.queue.redis_queue import RedisQueue

GIB = 2**30
PATIENCE_S = 3600.0
START_COST_S = 10.0
TENANTS = ("ann", "bob", "cyd")
EVERYTHING = Offer(64 * GIB, 2)
_prefixes = (f"{{model-{number}}}" for number in count())

tenants = st.sampled_from(TENANTS)
shares = st.builds(
    Share, st.sampled_from([0.5, 1.0, 3.0]), st.none() | st.integers(min_value=0, max_value=3)
)
needs = st.builds(Need, st.sampled_from([0, GIB, 5 * GIB, 17 * GIB]), st.sampled_from([1, 2]))
offers = st.sampled_from(
    [EVERYTHING, Offer(4 * GIB, 1), Offer(4 * GIB, 1, 64 * GIB, 2), Offer(64 * GIB, 1)]
)


@dataclass
class Model:
    """What waits, in order of arrival; what is held; and what tenants may have."""

    waiting: dict[str, Entry] = field(default_factory=dict)
    delayed: dict[str, Entry] = field(default_factory=dict)
    held: dict[str, tuple[Entry, Lease]] = field(default_factory=dict)
    yielded: set[str] = field(default_factory=set)
    shares: dict[str, Share] = field(default_factory=dict)
    lead: dict[tuple[str, str], float] = field(default_factory=dict)
    in_debt: set[str] = field(default_factory=set)
    """Tenants that have not been served since their share changed: what they had was reckoned by
    the old one."""

    def may_start(self, tenant: str, without: str | None = None) -> bool:
        most = self.shares[tenant].max_running
        gone = self.yielded | {without}
        held = [e for job, (e, _) in self.held.items() if job not in gone]
        return most is None or sum(entry.tenant_id == tenant for entry in held) < most

    def line(self, tenant: str, offer: Offer) -> list[Entry]:
        """The tenant's waiting jobs that fit, next one first."""
        mine = [e for e in self.waiting.values() if e.tenant_id == tenant and fits(e, offer)]
        late = [entry for entry in mine if entry.waited_s > PATIENCE_S]
        by_rank = sorted(mine, key=lambda e: (-e.priority, e.created_at, e.job_id))
        return late[:1] + by_rank

    def choices(self, offer: Offer, without: str | None = None) -> dict[str, Entry]:
        """The next job of each tenant that has one which may start."""
        lines = {t: self.line(t, offer) for t in TENANTS if t in self.shares}
        return {t: line[0] for t, line in lines.items() if line and self.may_start(t, without)}


def fits(entry: Entry, offer: Offer) -> bool:
    assert offer.memory_bytes is not None
    wanted = rounded(entry.need.memory_bytes)
    return wanted <= offer.memory_bytes and entry.need.devices <= offer.devices


def whole(offer: Offer) -> Offer:
    memory = max(offer.memory_bytes or 0, offer.whole_memory_bytes or 0)
    return Offer(memory, max(offer.devices, offer.whole_devices))


class QueueMachine(RuleBasedStateMachine):
    def __init__(self, server: "redis.Redis") -> None:
        super().__init__()
        self.server = server
        self.prefix = next(_prefixes)
        self.queue = RedisQueue(server, lease_s=600, patience_s=PATIENCE_S, prefix=self.prefix)
        self.model = Model()
        self.numbers = count()

    @rule(
        tenant=tenants,
        priority=st.sampled_from([-1, 0, 0, 1]),
        need=needs,
        share=shares,
        late=st.booleans(),
        delayed=st.sampled_from([False, False, False, True]),
        jobs=st.integers(min_value=1, max_value=4),
    )
    def enqueue(
        self, tenant: str, priority: int, need: Need, share: Share,
        late: bool, delayed: bool, jobs: int,
    ) -> None:  # fmt: skip
        self._share(tenant, share)
        for _ in range(jobs):
            number = next(self.numbers)
            entry = an_entry(
                f"job-{number:06}",
                tenant,
                created_at=NOW + number % 3,
                priority=priority,
                need=need,
                share=share,
                waited_s=2 * PATIENCE_S if late else 0.0,
                delay_s=3600.0 if delayed else 0.0,
            )
            for _ in range(2):  # once is enough
                self.queue.enqueue(entry)
            (self.model.delayed if delayed else self.model.waiting)[entry.job_id] = entry

    @rule(tenant=tenants, share=shares)
    def change_share(self, tenant: str, share: Share) -> None:
        self.queue.set_share(tenant, share)
        if tenant in self.model.shares:
            self._share(tenant, share)

    @rule(offer=offers)
    def claim(self, offer: Offer) -> None:
        choices = self.model.choices(offer)
        lease = self.queue.claim(wait_s=0, offer=offer)
        if lease is None:
            kept_for = self.model.choices(whole(offer)).values()
            held_back = any(e.waited_s > PATIENCE_S and not fits(e, offer) for e in kept_for)
            assert not choices or held_back
            return
        assert lease.job_id == choices[lease.tenant_id].job_id
        self._took(lease, choices if offer == EVERYTHING else {})

    @rule(data=st.data())
    @precondition(lambda self: self.model.held)
    def claim_instead(self, data: st.DataObject) -> None:
        victim, _ = self.model.held[data.draw(st.sampled_from(sorted(self.model.held)))]
        choices = self.model.choices(EVERYTHING, without=victim.job_id)
        yielding = Yielding(victim.job_id, victim.priority)
        lease = self.queue.claim(wait_s=0, offer=EVERYTHING, instead_of=yielding)
        higher = {t for t, entry in choices.items() if entry.priority > victim.priority}
        if lease is None:
            assert not choices or higher != choices.keys(), "somebody of a lower one is next"
            return
        assert lease.tenant_id in higher
        assert lease.job_id == choices[lease.tenant_id].job_id
        self.model.yielded.add(victim.job_id)
        self._took(lease, {})

    @rule(data=st.data(), how=st.sampled_from(["finish", "renew", "lose", "stale"]))
    @precondition(lambda self: self.model.held)
    def go_on(self, data: st.DataObject, how: str) -> None:
        job = data.draw(st.sampled_from(sorted(self.model.held)))
        _, lease = self.model.held[job]
        if how == "renew":
            assert self.queue.renew(lease)
        elif how == "stale":
            stale = Lease(lease.job_id, "stale", lease.tenant_id, lease.lane)
            assert not self.queue.renew(stale)
            self.queue.finish(stale)
        elif how == "finish":
            self.queue.finish(lease)
            self._dropped(job)
        else:
            self.server.zadd(f"{self.prefix}:leases", {job: 1})
            assert self.queue.sweep() == {job}
            self._dropped(job)

    @rule(data=st.data())
    @precondition(lambda self: self.model.waiting or self.model.delayed)
    def remove(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.model.waiting | self.model.delayed)))
        self.queue.remove(job)
        self.model.waiting.pop(job, None)
        self.model.delayed.pop(job, None)

    @rule()
    def forget_everything(self) -> None:
        """Workers renew what they hold, and the rest is put in line again."""
        for key in self.server.scan_iter(f"{self.prefix}:*"):
            self.server.delete(key)
        self.model.lead.clear()
        self.model.yielded.clear()
        for _, lease in self.model.held.values():
            assert self.queue.renew(lease)
        self.model.shares = {t: Share() for t in TENANTS if t in self.model.shares}
        for tenant, share in self.model.shares.items():
            self.queue.set_share(tenant, share)
        for entry in (*self.model.waiting.values(), *self.model.delayed.values()):
            self._share(entry.tenant_id, entry.share)
            self.queue.enqueue(entry)
        self.model.in_debt.clear()

    @invariant()
    def nothing_is_lost_and_nothing_twice(self) -> None:
        waiting, delayed, held = self.model.waiting, self.model.delayed, self.model.held
        assert self.queue.leased() == held.keys()
        known = [*waiting, *delayed, *held]
        assert self.queue.unknown([*known, "never"]) == {"never"}
        places = self.queue.positions(known)
        assert places.keys() == waiting.keys()
        for tenant in TENANTS:
            mine = [e for e in waiting.values() if e.tenant_id == tenant]
            ranked = sorted(mine, key=lambda e: (-e.priority, e.created_at, e.job_id))
            assert all(places[entry.job_id] <= 1 + at for at, entry in enumerate(ranked))

    @invariant()
    def nobody_gets_far_ahead(self) -> None:
        for (one, other), lead in self.model.lead.items():
            largest = 2 * START_COST_S
            bound = sum(largest / self.model.shares[tenant].weight for tenant in (one, other))
            assert lead <= bound + 0.01, (one, other)

    def _took(self, lease: Lease, choices: dict[str, Entry]) -> None:
        """``choices``: all who might have been served, when they took part as equals."""
        entry = self.model.waiting.pop(lease.job_id)
        self.model.held[entry.job_id] = entry, lease
        both = set(permutations(choices.keys() - self.model.in_debt, 2))
        cost = START_COST_S * entry.need.devices / self.model.shares[entry.tenant_id].weight
        lead = {pair: self.model.lead.get(pair, 0.0) for pair in both}
        for pair in both:
            lead[pair] += cost * ((pair[0] == entry.tenant_id) - (pair[1] == entry.tenant_id))
        self.model.lead = lead
        self.model.in_debt.discard(entry.tenant_id)

    def _dropped(self, job: str) -> None:
        del self.model.held[job]
        self.model.yielded.discard(job)

    def _share(self, tenant: str, share: Share) -> None:
        if self.model.shares.get(tenant) != share:
            if tenant in self.model.shares:
                self.model.in_debt.add(tenant)
            self.model.shares[tenant] = share
            self.model.lead.clear()


@pytest.mark.promise("P4", fault="random claims, renewals, expiries and losses, against a model")
def test_the_queue_keeps_its_promises(server: "redis.Redis") -> None:
    run_state_machine_as_test(
        lambda: QueueMachine(server),
        settings=settings(
            max_examples=40,
            stateful_step_count=60,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
