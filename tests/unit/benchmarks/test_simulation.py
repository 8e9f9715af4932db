"""The simulation of routing and residency."""

import numpy as np
import pytest

from benchmarks.simulation.engine import Engine, Shape, Tier
from benchmarks.simulation.fleet import Fleet, Traffic
from benchmarks.simulation.routes import DEAD, plain, resident, routes

SMALL = Shape(seats=2, slots=2, ram=3)


def test_an_adapter_falls_from_its_slot_to_memory_and_then_to_disk() -> None:
    engine = Engine(SMALL)
    seen = []
    for request, adapter in enumerate([1, 1, 2, 3, 1, 4, 2]):
        seen.append(engine.begin(request, adapter, float(request))[1])
        engine.running.clear()
    assert seen == [Tier.DISK, Tier.SLOT, Tier.DISK, Tier.DISK, Tier.RAM, Tier.DISK, Tier.DISK]


def test_loads_go_one_after_the_other() -> None:
    engine = Engine(SMALL)
    firsts = [engine.begin(request, request, 0.0)[0] for request in range(2)]
    assert firsts == [SMALL.disk_s, 2 * SMALL.disk_s]


def test_a_holder_above_the_bound_is_passed_over() -> None:
    assert resident(7, np.array([0, 0, 0]), {2}) == 2
    assert resident(7, np.array([0, 0, 9]), {2}) != 2


def test_no_request_goes_to_a_dead_engine() -> None:
    loads = np.array([0, DEAD, 0])
    for route in routes(1).values():
        assert {route(adapter, loads, ()) for adapter in range(200)} == {0, 2}


def test_a_death_moves_only_the_dead_engines_adapters() -> None:
    before, after = np.zeros(10, dtype=np.int64), np.zeros(10, dtype=np.int64)
    after[3] = DEAD
    own = [(resident(one, before, ()), resident(one, after, ())) for one in range(300)]
    assert all(new == old for old, new in own if old != 3)
    assert sum(plain(one, before, ()) != plain(one, after, ()) for one in range(300)) > 200


@pytest.mark.parametrize("name", list(routes(1)))
def test_every_request_is_answered_once_though_an_engine_dies(name: str) -> None:
    fleet = Fleet(Traffic(4, 4000, adapters=500), Shape(), routes(1)[name])
    result = fleet.run()
    assert not any(engine.running or engine.waiting for engine in fleet.engines)
    assert result.slot + result.ram + result.disk == pytest.approx(1)
    assert result.rerouted > 0
    assert (fleet.waits >= 0).all()


def test_residency_reads_the_disk_less_often_than_chance() -> None:
    traffic = Traffic(8, 20_000, adapters=5000)
    disk = {name: Fleet(traffic, Shape(), route).run().disk for name, route in routes(1).items()}
    assert disk["resident, bounded"] < disk["random"] / 2
