"""``python -m benchmarks.simulation``: every way of routing, into latest.json and a plot."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.progress import Progress

from benchmarks.simulation.engine import Shape
from benchmarks.simulation.fleet import Fleet, Traffic
from benchmarks.simulation.plot import svg
from benchmarks.simulation.routes import routes

HERE = Path(__file__).parent
PLOT = HERE.parents[1] / "docs" / "capacity.svg"
SCALES = (Traffic(1, 20_000), Traffic(10, 60_000), Traffic(1000, 300_000))


def main() -> None:
    """Half a minute on one core; the same numbers each time."""
    found = []
    with Progress(disable=not sys.stderr.isatty()) as progress:
        for traffic in SCALES:
            for name, route in routes(traffic.seed).items():
                task = progress.add_task(
                    f"{traffic.engines} engines, {name}", total=traffic.requests
                )
                result = Fleet(traffic, Shape(), route).run(
                    lambda done, task=task: progress.update(task, completed=done)  # type: ignore[misc]
                )
                progress.update(task, completed=traffic.requests)
                found.append({"routing": name, **asdict(traffic), **asdict(result)})
    whole = {"shape": asdict(Shape()), "runs": found}
    PLOT.write_text(svg(found))
    (HERE / "latest.json").write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
