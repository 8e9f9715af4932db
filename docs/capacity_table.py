"""Renews the tables of docs/capacity.md: ``python docs/capacity_table.py --write``."""

import json
from pathlib import Path
from typing import Any

from made_page import renewed, tell

SIMULATED = Path(__file__).parents[1] / "benchmarks" / "simulation" / "latest.json"


def page() -> str:
    """The whole page with fresh tables."""
    return renewed(__file__, tables())


def tables() -> str:
    """What the simulation found."""
    found = json.loads(SIMULATED.read_text())
    return _shape(found["shape"], found["runs"][0]) + _runs(found["runs"])


def _shape(shape: dict[str, Any], run: dict[str, Any]) -> str:
    return (
        "## Simulated\n\n"
        f"{run['adapters']:,} adapters, Zipf exponent {run['zipf']:g}. Each engine: "
        f"{shape['seats']} seats, {shape['slots']} slots, {shape['ram']} adapters in memory, "
        f"answers of {shape['answer_s']:g} s at the mean, {shape['ram_s'] * 1e3:g} ms to load from "
        f"memory and {shape['disk_s'] * 1e3:g} ms from disk, one load at a time.\n\n"
    )


def _runs(runs: list[dict[str, Any]]) -> str:
    lines = [
        "| engines | routing | in a slot | in memory | on disk | loads/s of one engine "
        "| busiest / mean | wait p50 | wait p99 | begun anew at the death "
        "| on disk before → after it |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [_run(run) for run in runs]
    return "\n".join(lines) + "\n"


def _run(run: dict[str, Any]) -> str:
    alone = run["engines"] == 1
    death = f"{run['disk_before_death']:.0%} → {run['disk_after_death']:.0%}"
    return (
        f"| {run['engines']:,} | {run['routing']} | {run['slot']:.0%} | {run['ram']:.0%} "
        f"| {run['disk']:.0%} | {run['loads_per_engine_s']:.1f} | {run['imbalance']:.2f} "
        f"| {run['wait_p50_ms']:,.1f} ms | {run['wait_p99_ms']:,.1f} ms "
        f"| {'-' if alone else run['rerouted']} | {'-' if alone else death} |"
    )


if __name__ == "__main__":
    tell(__file__, tables())
