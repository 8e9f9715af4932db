"""Requests for adapters over a fleet of engines, event by event, on a simulated clock."""

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.simulation.engine import Engine, Shape, Tier
from benchmarks.simulation.routes import DEAD, Route


@dataclass(frozen=True)
class Traffic:
    """Poisson arrivals, of adapters by Zipf's law."""

    engines: int
    requests: int
    adapters: int = 100_000
    zipf: float = 1.0
    load: float = 0.5
    """Seats in use at the mean, as a share of all."""
    seed: int = 1


@dataclass(frozen=True)
class Result:
    """What came of the later half of the requests; the first half warms the engines."""

    slot: float
    """Share of requests whose adapter was in a GPU slot; ram and disk likewise."""
    ram: float
    disk: float
    loads_per_engine_s: float
    """Loads from disk or memory, each second, of one engine."""
    imbalance: float
    """Most requests begun by one engine over the mean."""
    wait_p50_ms: float
    wait_p99_ms: float
    """From arrival to the first step."""
    rerouted: int
    """Requests that the death of an engine sent elsewhere."""
    disk_before_death: float
    disk_after_death: float
    """Share of requests that read a disk in the last 5 % before the death, the first 5 % after."""


class Fleet:
    """One run. An engine dies at three quarters of the requests, where there is another."""

    def __init__(self, traffic: Traffic, shape: Shape, route: Route) -> None:
        random = np.random.default_rng(traffic.seed)
        shares = 1 / np.arange(1, traffic.adapters + 1) ** traffic.zipf
        rate = traffic.load * shape.seats * traffic.engines / shape.answer_s
        self.adapters = random.choice(
            traffic.adapters, traffic.requests, p=shares / shares.sum()
        ).tolist()
        self.arrivals = np.cumsum(random.exponential(1 / rate, traffic.requests)).tolist()
        self.answers = random.exponential(shape.answer_s, traffic.requests).tolist()
        self.engines = [Engine(shape) for _ in range(traffic.engines)]
        self.loads = np.zeros(traffic.engines, dtype=np.int64)
        self.holders: dict[int, set[int]] = defaultdict(set)
        self.ends: list[tuple[float, int, int]] = []
        self.waits = np.zeros(traffic.requests)
        self.tiers: list[Tier] = [Tier.DISK] * traffic.requests
        self.places: npt.NDArray[np.int64] = np.zeros(traffic.requests, dtype=np.int64)
        self.route = route
        self.rerouted = 0

    def run(self, told: Callable[[int], None] = lambda done: None) -> Result:
        """Every request, to its end; ``told`` hears how many have come, each thousand."""
        requests = len(self.arrivals)
        death = requests * 3 // 4 if len(self.engines) > 1 else requests
        for request, now in enumerate(self.arrivals):
            self._end_until(now)
            if request == death:
                self._die(0, now)
            self._arrive(request, now)
            if request % 1000 == 0:
                told(request)
        self._end_until(float("inf"))
        return self._result(death)

    def _arrive(self, request: int, now: float) -> None:
        adapter = self.adapters[request]
        number = self.route(adapter, self.loads, self.holders[adapter])
        self.loads[number] += 1
        engine = self.engines[number]
        if len(engine.running) < engine.shape.seats:
            self._begin(number, request, now)
        else:
            engine.waiting.append(request)

    def _begin(self, number: int, request: int, now: float) -> None:
        adapter = self.adapters[request]
        first, tier, gone = self.engines[number].begin(request, adapter, now)
        self.holders[adapter].add(number)
        for one in gone:
            self.holders[one].discard(number)
        self.waits[request] = first - self.arrivals[request]
        self.tiers[request] = tier
        self.places[request] = number
        heapq.heappush(self.ends, (first + self.answers[request], number, request))

    def _end_until(self, now: float) -> None:
        while self.ends and self.ends[0][0] <= now:
            at, number, request = heapq.heappop(self.ends)
            engine = self.engines[number]
            if engine.running.pop(request, None) is None:
                continue
            self.loads[number] -= 1
            if engine.waiting:
                self._begin(number, engine.waiting.popleft(), at)

    def _die(self, number: int, now: float) -> None:
        """What ran or waited there begins anew elsewhere."""
        engine = self.engines[number]
        lost = [*engine.running, *engine.waiting]
        engine.running.clear()
        engine.waiting.clear()
        self.loads[number] = DEAD
        for holders in self.holders.values():
            holders.discard(number)
        for request in lost:
            self._arrive(request, now)
        self.rerouted = len(lost)

    def _result(self, death: int) -> Result:
        requests = len(self.arrivals)
        half, near = requests // 2, requests // 20
        tiers = np.array(self.tiers)

        def share(tier: Tier, first: int = half, last: int = requests) -> float:
            return float((tiers[first:last] == tier).mean()) if last > first else 0.0

        seconds = self.arrivals[-1] - self.arrivals[half]
        begun = np.bincount(self.places[half:], minlength=len(self.engines))
        p50, p99 = np.percentile(self.waits[half:], (50, 99)) * 1e3
        misses = (1 - share(Tier.SLOT)) * (requests - half)
        return Result(
            slot=share(Tier.SLOT),
            ram=share(Tier.RAM),
            disk=share(Tier.DISK),
            loads_per_engine_s=misses / seconds / len(self.engines),
            imbalance=float(begun.max() / begun.mean()),
            wait_p50_ms=float(p50),
            wait_p99_ms=float(p99),
            rerouted=self.rerouted,
            disk_before_death=share(Tier.DISK, death - near, death),
            disk_after_death=share(Tier.DISK, death, min(death + near, requests)),
        )
