"""Any traffic: few labels, nothing lost, nothing counted twice, no counter that falls."""

import itertools
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunery_server.telemetry.busiest import OTHER, REVIEW_S, Busiest, Labels

SIZE = 3
SCRAPE_S = REVIEW_S / 10

names = st.sampled_from([f"tenant-{number}" for number in range(9)] + [OTHER])
steps = st.lists(
    st.tuples(names, st.integers(1, 200), st.floats(0, 3 * REVIEW_S)), min_size=1, max_size=60
)


@dataclass
class Count:
    total: int = 0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Scraper:
    """Adds up increases as Prometheus does: a counter that is new, or fell, began at 0."""

    def __init__(self, busiest: Busiest[Count]) -> None:
        self._busiest = busiest
        self._last: dict[Labels, int] = {}
        self.increase = 0

    def scrape(self) -> None:
        seen = {labels: count.total for labels, count in self._busiest.rows()}
        assert len(seen) == len(self._busiest.rows()) <= SIZE + 1
        for labels, total in seen.items():
            last = self._last.get(labels, 0)
            assert total >= last, "a label that stays never falls"
            self.increase += total - last
        self._last = seen


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(clock: Clock, size: int = SIZE) -> Busiest[Count]:
    return Busiest(size, Count, labels=("tenant",), timer=clock)


def count(busiest: Busiest[Count], name: str, times: int = 1) -> None:
    for _ in range(times):
        busiest.of((name,)).total += 1


def totals(busiest: Busiest[Count]) -> dict[str, int]:
    return {labels[0]: one.total for labels, one in busiest.rows()}


@given(steps)
def test_whoever_scrapes_often_enough_counts_everything_once(
    traffic: list[tuple[str, int, float]],
) -> None:
    clock = Clock()
    busiest = made(clock)
    scraper = Scraper(busiest)
    for name, times, pause in traffic:
        count(busiest, name, times)
        for _ in range(int(pause / SCRAPE_S)):
            scraper.scrape()
            clock.now += SCRAPE_S
        scraper.scrape()
    assert scraper.increase == sum(times for _, times, _ in traffic)


@given(st.lists(names, max_size=200))
def test_between_two_reviews_the_totals_are_those_of_the_traffic(traffic: list[str]) -> None:
    busiest = made(Clock())
    for name in traffic:
        count(busiest, name)
    real, shown = Counter(traffic), totals(busiest)
    assert sum(shown.values()) == len(traffic)
    assert all(shown[name] == real[name] for name in shown.keys() - {OTHER})


def test_while_there_is_room_each_name_has_a_label_from_its_first_request(clock: Clock) -> None:
    busiest = made(clock)
    for name in ("a", "b", "c", "d"):
        count(busiest, name)
    assert totals(busiest) == {"a": 1, "b": 1, "c": 1, OTHER: 1}


def test_a_busier_name_gets_the_label_of_the_least_busy_one(clock: Clock) -> None:
    busiest = made(clock)
    for name, times in (("a", 50), ("b", 5), ("c", 50), ("busy", 100)):
        count(busiest, name, times)
    clock.now += REVIEW_S
    count(busiest, "b", 1)
    assert totals(busiest) == {"a": 50, "b": 5, "c": 50, OTHER: 101}, "b stands still"
    clock.now += REVIEW_S
    count(busiest, "busy", 7)
    assert totals(busiest) == {"a": 50, "c": 50, "busy": 7, OTHER: 101}


def test_who_is_not_much_busier_waits(clock: Clock) -> None:
    busiest = made(clock, size=1)
    for _ in range(20):
        count(busiest, "first", 10)
        count(busiest, "second", 15)
        clock.now += REVIEW_S
    assert totals(busiest).keys() == {"first", OTHER}


def test_two_that_take_turns_at_being_busy_do_not_take_turns_with_the_label(clock: Clock) -> None:
    busiest, holders = made(clock, size=1), []
    for round in range(200):
        count(busiest, "even" if round % 2 else "odd", 30)
        clock.now += REVIEW_S
        holders.append((totals(busiest).keys() - {OTHER}).pop())
    assert sum(one != next for one, next in itertools.pairwise(holders)) <= 1


def test_a_label_that_nobody_wants_any_more_goes_on_where_it_was(clock: Clock) -> None:
    busiest = made(clock, size=1)
    count(busiest, "a", 5)
    count(busiest, "b", 100)
    clock.now += REVIEW_S
    count(busiest, "a")
    busiest._watched.clear()
    clock.now += REVIEW_S
    count(busiest, "a", 2)
    assert totals(busiest) == {"a": 7, OTHER: 101}


def test_a_million_names_take_no_memory_and_displace_nobody(clock: Clock) -> None:
    busiest = made(clock)
    for name in ("a", "b", "c"):
        count(busiest, name, 2)
    for number in range(1_000_000):
        busiest.of((f"name-{number}",)).total += 1
        clock.now += 0.01
    assert totals(busiest) == {"a": 2, "b": 2, "c": 2, OTHER: 1_000_000}
    assert len(busiest._watched) <= 4 * SIZE


def test_one_among_a_million_that_is_busy_is_found(clock: Clock) -> None:
    busiest = made(clock)
    for number in range(200_000):
        busiest.of((f"name-{number}",))
        if number % 5 == 0:
            busiest.of(("busy",))
        clock.now += 0.01
    assert "busy" in totals(busiest)


def test_without_labels_all_are_others(clock: Clock) -> None:
    busiest = made(clock, size=0)
    count(busiest, "a", 3)
    clock.now += 2 * REVIEW_S
    count(busiest, "a", 3)
    assert totals(busiest) == {OTHER: 6}


def test_a_tenant_that_is_called_other_is_one_of_the_others(clock: Clock) -> None:
    busiest = made(clock)
    count(busiest, OTHER, 100)
    clock.now += REVIEW_S
    count(busiest, OTHER)
    clock.now += REVIEW_S
    count(busiest, "a")
    assert busiest.rows()[-1][1].total == 101
    assert totals(busiest) == {"a": 1, OTHER: 101}
