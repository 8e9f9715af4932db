"""``python -m benchmarks [--only F1,L5]``: measure, and renew latest.json and README.md."""

import argparse
import importlib
import pkgutil
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import measured
from benchmarks.benchmark import Benchmark
from benchmarks.machine import described
from benchmarks.outcome import Outcome, write
from benchmarks.page import renew
from benchmarks.rounds import measure

HERE = Path(__file__).parent


def benchmarks() -> dict[str, Benchmark]:
    """Every benchmark there is, by id."""
    modules = (module.name for module in pkgutil.iter_modules(measured.__path__))
    found = (importlib.import_module(f"benchmarks.measured.{name}").BENCHMARK for name in modules)
    return {one.id: one for one in sorted(found, key=lambda one: str(one.id))}


def chosen(only: str) -> list[Benchmark]:
    """Those named, separated by commas; all of them for an empty text. Raises SystemExit.

    One that measures several things has the names of all of them.
    """
    all_of_them = benchmarks()
    known = {
        claim.id.partition("-")[0]: one for one in all_of_them.values() for claim in one.claims
    }
    names = [name for name in only.split(",") if name] or list(all_of_them)
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    return list({known[name].id: known[name] for name in names}.values())


def run(benchmark: Benchmark, command: str) -> None:
    """Measure one benchmark and keep what came of it."""
    sys.stdout.write(f"{benchmark.id}: {benchmark.title} …\n")
    sys.stdout.flush()
    told = described()
    rounds = measure(benchmark)
    outcomes = {
        claim.id: Outcome.of(claim, rounds, command=command, run=told["at"])
        for claim in benchmark.claims
    }
    for id, one in outcomes.items():
        sys.stdout.write(f"  {id}: {one.value:.3g} ({one.low:.3g} to {one.high:.3g}) {one.says}\n")
    renew(HERE, write(HERE / "latest.json", outcomes, told))


def main(arguments: Sequence[str]) -> None:
    """Each benchmark is kept as soon as it is done, so that a later one's failure loses none."""
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("--only", default="", help="ids, separated by commas")
    parser.add_argument("--page", action="store_true", help="measure nothing, renew the page")
    given = parser.parse_args(arguments)
    if given.page:
        renew(HERE, write(HERE / "latest.json", {}, described()))
        return
    for benchmark in chosen(given.only):
        run(benchmark, shlex.join(["make", "bench", f"ONLY={benchmark.id}"]))


if __name__ == "__main__":
    main(sys.argv[1:])
