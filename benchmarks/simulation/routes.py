"""Which engine a request goes to: three ways, over the same numbers."""

import math
from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt

Loads = npt.NDArray[np.int64]
"""Requests at each engine; DEAD for one that is gone."""
Route = Callable[[int, Loads, Collection[int]], int]
"""Adapter, loads and the engines that hold the adapter, to the number of an engine."""
DEAD = np.iinfo(np.int64).max
BOUND = 1.25
"""Most load of an engine, as a share of the mean (consistent hashing with bounded loads)."""


def scores(adapter: int, engines: int) -> npt.NDArray[np.uint64]:
    """How much each engine is an adapter's own: splitmix64's last steps over both numbers."""
    mixed = np.arange(1, engines + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= np.uint64((adapter + 1) * 0xD1B54A32D192ED03 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def resident(adapter: int, loads: Loads, holders: Collection[int]) -> int:
    """An engine that holds the adapter, else the one of highest score, none above the bound."""
    alive = loads != DEAD
    bound = math.ceil(BOUND * (int(loads[alive].sum()) + 1) / int(alive.sum()))
    free = [engine for engine in holders if loads[engine] < bound]
    if free:
        return min(free, key=lambda engine: int(loads[engine]))
    return int(np.where(loads < bound, scores(adapter, len(loads)), 0).argmax())


def plain(adapter: int, loads: Loads, holders: Collection[int]) -> int:
    """The adapter's hash, modulo the number of engines that live."""
    living = np.flatnonzero(loads != DEAD)
    return int(living[int(scores(adapter, 1)[0]) % len(living)])


def at_random(seed: int) -> Route:
    """Any engine that lives."""
    random = np.random.default_rng(seed)

    def route(adapter: int, loads: Loads, holders: Collection[int]) -> int:
        living = np.flatnonzero(loads != DEAD)
        return int(living[random.integers(len(living))])

    return route


def routes(seed: int) -> dict[str, Route]:
    """Every way, by name."""
    return {"resident, bounded": resident, "plain hash": plain, "random": at_random(seed)}
