"""Prints the table of docs/metrics.md: ``python docs/metrics_table.py --write`` renews it."""

import time
from collections.abc import Iterator

from made_page import renewed, tell
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase

from tunery_server.jobs.statistics import JobStatistics
from tunery_server.records.database import Database
from tunery_server.records.job_numbers import JobNumbers
from tunery_server.serving.tiers import Tiers
from tunery_server.serving.traffic import Traffic
from tunery_server.telemetry import metrics

_UNITS = {"_seconds": "seconds", "_bytes": "bytes", "_joules": "joules", "_tokens": "tokens"}


def table() -> str:
    """One line for each metric: name as in a query, type, labels, unit, meaning."""
    lines = ["| metric | type | labels | unit | meaning |", "|---|---|---|---|---|"]
    for metric, labels in sorted(every(), key=lambda one: one[0].name):
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        unit = next((unit for end, unit in _UNITS.items() if metric.name.endswith(end)), "")
        named = ", ".join(f"`{label}`" for label in labels)
        lines.append(f"| `{name}` | {metric.type} | {named} | {unit} | {metric.documentation} |")
    return "\n".join(lines) + "\n"


def every() -> Iterator[tuple[Metric, tuple[str, ...]]]:
    """Each metric of a gateway, and its labels."""
    for declared in vars(metrics).values():
        if isinstance(declared, MetricWrapperBase):
            for metric in declared.describe():
                yield metric, declared._labelnames
    jobs = JobStatistics(1, JobNumbers(Database("sqlite://")), clock=time.time)
    traffic = Traffic(1, status_of=lambda _: 500)
    for collector in (traffic, Tiers(traffic.adapters, {}), jobs):
        for metric in collector.collect():
            yield metric, metric._labelnames


def page() -> str:
    """The whole page with a fresh table."""
    return renewed(__file__, table())


if __name__ == "__main__":
    tell(__file__, table())
