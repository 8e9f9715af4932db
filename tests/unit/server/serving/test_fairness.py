"""Who gets into the engine when more want to than can: simulated, with time in the test's hands."""

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunery_server.errors import Overloaded
from tunery_server.serving.admission import Admission
from tunery_server.serving.fair_queue import FairQueue, Waiter
from tunery_server.serving.slots import CONTEST_S, PATIENCE_S, Slots

from .test_admission import settled


@dataclass
class Engine:
    """Answers what is let in, each request after its time; counts who and what is inside."""

    places: int = 4
    slots: int = 2
    line: int = 100
    now: float = 0.0
    inside: Counter[str | None] = field(default_factory=Counter)
    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)
    ends: dict[float, list["asyncio.Event"]] = field(default_factory=lambda: defaultdict(list))
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    most_adapters: int = 0

    def __post_init__(self) -> None:
        self.admission = Admission(
            places=self.places,
            line=self.line,
            slots=Slots(self.slots),
            wait_s=1e9,
            timer=lambda: self.now,
        )

    def ask(self, tenant: str, adapter: str | None = None, *, takes: float = 1.0) -> None:
        self.tasks.append(asyncio.create_task(self._request(tenant, adapter, takes)))

    async def until(self, end: float) -> None:
        """Let time pass, from one end of a request to the next."""
        await settled()
        while self.ends and min(self.ends) <= end:
            self.now = min(self.ends)
            for event in self.ends.pop(self.now):
                event.set()
            await settled()
        self.now = end

    async def _request(self, tenant: str, adapter: str | None, takes: float) -> None:
        came, done = self.now, asyncio.Event()
        try:
            async with self.admission.place(tenant=tenant, adapter=adapter, cost=100):
                self.waits[tenant].append(self.now - came)
                self.inside[adapter] += 1
                adapters = [name for name, count in self.inside.items() if count and name]
                self.most_adapters = max(self.most_adapters, len(adapters))
                self.ends[self.now + takes].append(done)
                await done.wait()
                self.inside[adapter] -= 1
        except Overloaded:
            self.refused[tenant] += 1


@pytest.mark.promise("P21", fault="a flood of forty requests for each of a quiet tenant, simulated")
async def test_a_flood_costs_a_quiet_tenant_one_request_of_it_at_most() -> None:
    engine = Engine()
    for second in range(20):
        for _ in range(40):
            engine.ask("loud")
        engine.ask("quiet")
        await engine.until(second + 1.0)
    assert engine.refused["loud"] > 0
    assert engine.refused["quiet"] == 0
    assert max(engine.waits["quiet"]) <= 1.0


async def test_tenants_that_both_want_all_get_the_same() -> None:
    engine = Engine(line=1000)
    for tenant, requests in (("a", 300), ("b", 100), ("c", 100)):
        for _ in range(requests):
            engine.ask(tenant)
    await engine.until(50.0)
    shares = [len(engine.waits[tenant]) for tenant in "abc"]
    assert max(shares) - min(shares) <= engine.places, "those that came before the others"


async def test_shares_are_of_tokens_not_of_requests() -> None:
    queue = FairQueue()
    for tenant, cost in (("long", 1000), ("short", 10)):
        for _ in range(200):
            queue.put(Waiter(tenant=tenant, adapter=None, cost=cost, since=0.0))
    taken = [queue.take(lambda _: True) for _ in range(102)]
    assert Counter(waiter.tenant for waiter in taken if waiter) == {"long": 2, "short": 100}


async def test_what_a_request_really_took_is_what_counts() -> None:
    queue = FairQueue()
    for tenant in ("a", "b"):
        for _ in range(10):
            queue.put(Waiter(tenant=tenant, adapter=None, cost=100, since=0.0))
    assert queue.take(lambda waiter: waiter.tenant == "a")
    queue.charge("a", 900)
    taken = [queue.take(lambda _: True) for _ in range(10)]
    assert Counter(waiter.tenant for waiter in taken if waiter)["b"] >= 9


async def test_who_was_away_has_nothing_saved_up() -> None:
    queue = FairQueue()
    for _ in range(100):
        queue.put(Waiter(tenant="busy", adapter=None, cost=100, since=0.0))
    for _ in range(50):
        queue.take(lambda _: True)
    for _ in range(20):
        queue.put(Waiter(tenant="back", adapter=None, cost=100, since=1.0))
    taken = [queue.take(lambda _: True) for _ in range(20)]
    assert 9 <= Counter(waiter.tenant for waiter in taken if waiter)["back"] <= 11


async def test_no_more_adapters_are_inside_than_there_are_slots() -> None:
    engine = Engine(places=16, slots=2)
    for number in range(60):
        engine.ask("a", f"adapter-{number % 6}")
    await engine.until(100.0)
    assert engine.most_adapters == 2
    assert len(engine.waits["a"]) == 60


async def test_an_adapter_that_waits_gets_the_slot_of_one_that_never_pauses() -> None:
    engine = Engine(places=8, slots=1, line=1000)
    for tick in range(200):
        engine.ask("loud", "hot", takes=0.4)
        engine.ask("loud", "hot", takes=0.4)
        if tick == 20:
            engine.ask("quiet", "cold", takes=0.4)
        await engine.until(0.1 * (tick + 1))
    [wait] = engine.waits["quiet"]
    assert wait <= PATIENCE_S + 0.4 + 0.1
    assert len(engine.waits["loud"]) > 150, "the busy one goes on afterwards"


async def test_slots_of_a_tenant_with_many_adapters_are_the_ones_to_be_let_go() -> None:
    engine = Engine(places=32, slots=4, line=1000)
    for tick in range(100):
        for number in range(4):
            engine.ask("hoarder", f"h-{number}", takes=1.0)
        if tick >= 20:
            engine.ask("other", "o-0", takes=0.2)
        await engine.until(0.25 * (tick + 1))
    waits = engine.waits["other"]
    assert max(waits) <= PATIENCE_S + 1.0 + 0.25
    assert max(waits[8:]) == 0, "one slot stays within its reach"


async def most_inside(engine: Engine, adapter: str, *, start: float, end: float) -> int:
    """How many requests for an adapter were inside at once, looked at four times a second."""
    most = 0
    for quarter in range(int(start * 4), int(end * 4)):
        await engine.until(quarter / 4)
        most = max(most, engine.inside[adapter])
    return most


async def test_a_large_batch_gets_small_while_others_wait_for_slots() -> None:
    engine = Engine(places=16, slots=2, line=1000)
    engine.ask("quiet-0", "cold-0", takes=0.1)
    for _ in range(400):
        engine.ask("loud", "hot")
    assert await most_inside(engine, "hot", start=0, end=3) == 14, "none waits for a slot"
    for number in range(4):
        engine.ask(f"quiet-{number}", f"cold-{number}", takes=0.1)
    await engine.until(4.1)
    assert 1 <= await most_inside(engine, "hot", start=4.25, end=3 + CONTEST_S) <= 4
    assert await most_inside(engine, "hot", start=5 + CONTEST_S, end=8 + CONTEST_S) == 14


async def test_batches_stay_large_among_tenants_that_all_ask_for_much() -> None:
    engine = Engine(places=16, slots=2, line=1000)
    for number in range(4):
        for _ in range(100):
            engine.ask(f"tenant-{number}", f"adapter-{number}")
    await engine.until(3.0)
    assert await most_inside(engine, "adapter-0", start=3, end=12) == 8


async def test_a_tenants_own_adapters_do_not_make_its_batches_small() -> None:
    engine = Engine(places=16, slots=2, line=1000)
    for number in range(4):
        for _ in range(50):
            engine.ask("only", f"adapter-{number}")
    await settled()
    assert sum(engine.inside.values()) == 16


async def test_no_tenant_holds_every_place_while_others_are_about() -> None:
    engine = Engine(places=16, slots=1)
    engine.ask("quiet")
    await engine.until(5.0)
    for _ in range(50):
        engine.ask("loud", takes=1000.0)
    await settled()
    engine.ask("quiet")
    await settled()
    assert engine.waits["quiet"] == [0.0, 0.0]


async def test_who_is_alone_may_have_every_place() -> None:
    engine = Engine(places=16, slots=1)
    for _ in range(16):
        engine.ask("only", takes=1000.0)
    await settled()
    assert len(engine.waits["only"]) == 16


@pytest.mark.promise("P20", fault="the line is full")
async def test_a_full_line_refuses_the_newest_of_the_longest() -> None:
    engine = Engine(places=1, line=4)
    engine.ask("first", takes=5)
    for _ in range(4):
        engine.ask("loud")
    await settled()
    engine.ask("quiet")
    await settled()
    assert engine.refused == {"loud": 1}
    engine.ask("loud")
    await settled()
    assert engine.refused == {"loud": 2}
    await engine.until(100.0)
    assert (len(engine.waits["loud"]), len(engine.waits["quiet"])) == (3, 1)


async def test_a_wait_that_is_too_long_is_refused() -> None:
    admission = Admission(places=1, line=5, slots=Slots(1), wait_s=0.01)
    async with admission.place(tenant="a"):
        with pytest.raises(Overloaded, match="too long"):
            async with admission.place(tenant="b"):
                pass
    async with admission.place(tenant="b"):
        pass


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    places=st.integers(1, 6),
    slots=st.integers(1, 3),
    line=st.integers(0, 30),
)
async def test_whatever_comes_everybody_is_answered_or_refused(
    seed: int, places: int, slots: int, line: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test
    engine = Engine(places=places, slots=slots, line=line)
    asked = 0
    for tick in range(60):
        for _ in range(chance.randrange(4)):
            adapter = chance.choice([None, "x", "y", "z", "w"])
            engine.ask(chance.choice("abc"), adapter, takes=chance.choice([0.1, 0.5, 2.0]))
            asked += 1
        if chance.random() < 0.2 and engine.tasks:
            chance.choice(engine.tasks).cancel()
        await engine.until(0.2 * (tick + 1))
        assert sum(engine.inside.values()) <= places + len(
            [task for task in engine.tasks if task.cancelled()]
        )
    await engine.until(1000.0)
    assert all(task.done() for task in engine.tasks)
    assert engine.most_adapters <= slots + len([task for task in engine.tasks if task.cancelled()])
    answered = sum(map(len, engine.waits.values()))
    gave_up = sum(task.cancelled() for task in engine.tasks)
    assert asked - gave_up <= answered + sum(engine.refused.values()) <= asked
