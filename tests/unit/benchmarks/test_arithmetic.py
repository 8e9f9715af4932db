"""The benchmarks' arithmetic: what is measured when, and what is made of it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.__main__ import benchmarks, chosen
from benchmarks.benchmark import Benchmark, Claim, Figures, Form, Load
from benchmarks.interval import interval, percentile
from benchmarks.outcome import Outcome, write
from benchmarks.page import tables
from benchmarks.plot import svg
from benchmarks.rounds import measure

RUN = {
    "at": "2026-01-02T03:04:05Z",
    "machine": {"cpu": "Z80", "cores": 1, "flags": ["avx2"], "memory_gib": 2, "kernel": "6"},
    "versions": {"python": "3.11"},
    "load": [0.5, 0.4, 0.3],
}


def claim(id: str = "X1", **changes: Any) -> Claim:
    given: dict[str, Any] = {
        "says": "one against two",
        "unit": "s",
        "numerator": "one",
        "denominator": "two",
        "bar": 1.0,
        "moonshot": 0.25,
    }
    return Claim(id=id, **{**given, **changes})


def outcome(rounds: Sequence[Figures], **changes: Any) -> Outcome:
    return Outcome.of(claim(**changes), rounds, command="make bench ONLY=X1", run=RUN["at"])


class TestInterval:
    def test_the_median_lies_inside(self) -> None:
        found = interval([5.0, 1.0, 3.0, 2.0, 4.0])
        assert found.median == 3.0
        assert 1.0 <= found.low < 3.0 < found.high <= 5.0

    def test_equal_values_leave_no_doubt(self) -> None:
        found = interval([2.0] * 5)
        assert (found.low, found.median, found.high) == (2.0, 2.0, 2.0)

    def test_more_values_leave_less(self) -> None:
        few, many = interval([1.0, 2.0, 3.0] * 2), interval([1.0, 2.0, 3.0] * 100)
        assert many.high - many.low < few.high - few.low

    def test_it_is_the_same_every_time(self) -> None:
        values = [1.0, 9.0, 4.0, 6.0, 2.0]
        assert interval(values) == interval(values)

    @pytest.mark.parametrize(
        ("percent", "value"), [(0, 1.0), (50, 5.0), (90, 9.0), (99, 10.0), (100, 10.0)]
    )
    def test_a_percentile_is_one_of_the_values(self, percent: float, value: float) -> None:
        assert percentile([float(number) for number in range(10, 0, -1)], percent) == value


class TestRounds:
    def test_loads_take_turns_there_and_back_and_the_first_round_is_dropped(self) -> None:
        order: list[str] = []

        def load(name: str) -> Load:
            def put() -> Figures:
                order.append(name)
                return {name: float(len(order))}

            return put

        @contextmanager
        def opened() -> Iterator[Sequence[Load]]:
            yield [load("a"), load("b")]
            order.append("closed")

        found = measure(
            Benchmark(id="X", title="", load="", claims=(), open=opened, rounds=2, warm_ups=1)
        )
        assert order == ["a", "b", "b", "a", "a", "b", "closed"]
        assert found == [{"b": 3.0, "a": 4.0}, {"a": 5.0, "b": 6.0}]


class TestOutcome:
    def test_a_ratio_is_of_the_same_round(self) -> None:
        found = outcome([{"one": 1, "two": 10}, {"one": 30, "two": 100}, {"one": 4, "two": 20}])
        assert (found.value, found.unit, found.rounds) == (0.2, "ratio", 3)
        assert found.numerator.value == 4
        assert found.denominator is not None
        assert (found.denominator.what, found.denominator.value) == ("two", 20)

    def test_a_difference_and_a_figure_keep_their_unit(self) -> None:
        rounds = [{"one": 3.0, "two": 1.0}]
        difference = outcome(rounds, form=Form.DIFFERENCE)
        alone = outcome(rounds, form=Form.FIGURE, denominator=None)
        assert (difference.value, difference.unit) == (2.0, "s")
        assert (alone.value, alone.unit, alone.denominator) == (3.0, "s", None)

    @pytest.mark.parametrize(
        ("values", "met"),
        [([0.2] * 5, "moonshot"), ([0.2, 0.2, 0.9], "bar"), ([0.2, 0.2, 1.1], "no")],
    )
    def test_the_whole_interval_has_to_clear_a_bar(self, values: list[float], met: str) -> None:
        assert outcome([{"one": value, "two": 1.0} for value in values]).met == met

    @pytest.mark.parametrize(
        ("values", "met"),
        [([0.9] * 5, "moonshot"), ([0.9, 0.9, 0.7], "bar"), ([0.9, 0.9, 0.5], "no")],
    )
    def test_more_may_be_better(self, values: list[float], met: str) -> None:
        rounds = [{"one": value, "two": 1.0} for value in values]
        assert outcome(rounds, bar=0.6, moonshot=0.85, more_is_better=True).met == met


class TestFile:
    def test_a_run_leaves_other_results_as_they_were(self, tmp_path: Path) -> None:
        file = tmp_path / "latest.json"
        first = outcome([{"one": 1.0, "two": 2.0}])
        write(file, {"X1": first, "X2": first}, RUN)
        later = {**RUN, "at": "2026-01-03T00:00:00Z"}
        second = Outcome.of(claim(), [{"one": 3.0, "two": 2.0}], command="", run=later["at"])
        write(file, {"X1": second}, later)
        kept = json.loads(file.read_text())
        assert (kept["X1"]["value"], kept["X2"]["value"]) == (1.5, 0.5)
        assert kept["X2"].keys() >= {
            *("value", "low", "high", "bar", "moonshot", "unit", "numerator", "denominator"),
            *("rounds", "command"),
        }
        assert kept["runs"] == {RUN["at"]: RUN, later["at"]: later}

    def test_a_run_that_nothing_came_from_is_forgotten(self, tmp_path: Path) -> None:
        file = tmp_path / "latest.json"
        write(file, {"X1": outcome([{"one": 1.0, "two": 2.0}])}, RUN)
        kept = write(file, {}, {**RUN, "at": "later"})
        assert list(kept["runs"]) == [RUN["at"]]


class TestPage:
    def test_it_tells_value_bar_and_absolute_figures(self, tmp_path: Path) -> None:
        latest = write(
            tmp_path / "latest.json", {"X1": outcome([{"one": 0.1234, "two": 0.5}])}, RUN
        )
        row = next(line for line in tables(latest).splitlines() if line.startswith("| X1 "))
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[3:9] == ["0.247", "0.247 to 0.247", "1", "0.25", "moonshot", "0.123 s"]
        assert "1 cores of Z80 (avx2), 2 GiB, load 0.5; python 3.11." in tables(latest)

    def test_the_plot_puts_better_to_the_right(self, tmp_path: Path) -> None:
        found = {
            "good": outcome([{"one": 0.5, "two": 1.0}]),
            "bad": outcome([{"one": 2.0, "two": 1.0}]),
        }
        kept = write(tmp_path / "latest.json", found, RUN)
        text = svg({id: kept[id] for id in ("good", "bad")})
        drawn = ElementTree.fromstring(text)  # noqa: S314 - written here
        circles = [float(one.attrib["cx"]) for one in drawn.iter() if one.tag.endswith("circle")]
        bar = (130 + 700) / 2
        assert circles[0] > bar > circles[1]


class TestChoice:
    def test_every_benchmark_is_found_and_its_claims_are_its_own(self) -> None:
        found = benchmarks()
        claims = [one.id for benchmark in found.values() for one in benchmark.claims]
        assert found.keys() >= {"F1", "L5"}
        assert len(set(claims)) == len(claims)
        for id, benchmark in found.items():
            assert id in {one.id for one in benchmark.claims}
            assert all(chosen(one.id.partition("-")[0]) == [benchmark] for one in benchmark.claims)

    def test_some_or_all(self) -> None:
        assert [one.id for one in chosen("L5,F1")] == ["L5", "F1"]
        assert [one.id for one in chosen("L2,L3")] == ["L1"]
        assert [one.id for one in chosen("")] == list(benchmarks())
        with pytest.raises(SystemExit, match="there is no Z9"):
            chosen("F1,Z9")
