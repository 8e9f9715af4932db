"""Taking the loads of a benchmark in turn, so that a slow minute is slow for all of them."""

from collections.abc import Sequence

from benchmarks.benchmark import Benchmark, Figures, Load


def measure(benchmark: Benchmark) -> list[Figures]:
    """The figures of each round; those that warm up are thrown away."""
    with benchmark.open() as loads:
        rounds = [
            one_round(loads, number) for number in range(benchmark.warm_ups + benchmark.rounds)
        ]
    return rounds[benchmark.warm_ups :]


def one_round(loads: Sequence[Load], number: int) -> Figures:
    """Every load once: forwards in even rounds, backwards in odd ones (ABBA)."""
    order = loads if number % 2 == 0 else loads[::-1]
    return {name: value for load in order for name, value in load().items()}
