"""Tallies as Prometheus reads them."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from tunery_server.telemetry.busiest import Busiest, Labels
from tunery_server.telemetry.histogram import Histogram
from tunery_server.telemetry.tally import AdapterTally, AliasTally, Counts, JobTally, Tally

T = TypeVar("T")


def of_requests(subject: str, tallies: Busiest[Tally] | Busiest[AdapterTally]) -> Iterator[Metric]:
    """Requests, tokens and times of each ``subject``, tenant or adapter."""
    rows: Sequence[tuple[Labels, Tally]] = tallies.rows()
    name, labels = f"tunery_{subject}", tallies.labels
    yield _counter(
        f"{name}_requests",
        f"Inference requests by {subject} and class of status; 499: the client did not wait.",
        (*labels, "status"),
        _each(rows, lambda tally: tally.requests),
    )
    yield _counter(
        f"{name}_tokens",
        f"Tokens of inference requests by {subject}; those cached are among the prompt's.",
        (*labels, "kind"),
        _each(rows, lambda tally: tally.tokens),
    )
    yield _histogram(
        f"{name}_queue_wait_seconds",
        f"Time that inference requests waited for a place in the engine, by {subject}.",
        labels,
        ((names, tally.queue_wait) for names, tally in rows),
    )
    yield _histogram(
        f"{name}_time_to_first_token_seconds",
        f"Time from a streamed request to the first chunk of its answer, by {subject}.",
        labels,
        ((names, tally.time_to_first_token) for names, tally in rows),
    )
    yield _histogram(
        f"{name}_inter_token_latency_seconds",
        f"Time between two tokens of a streamed answer, by {subject}.",
        labels,
        ((names, tally.inter_token_latency) for names, tally in rows),
    )


def of_loads(tallies: Busiest[AdapterTally]) -> Iterator[Metric]:
    """What it took to have adapters in the engine."""
    rows, labels = tallies.rows(), tallies.labels
    yield _histogram(
        "tunery_adapter_load_duration_seconds",
        "Time from the check of an adapter's files until the engine had it; one for each load.",
        labels,
        ((names, tally.loads) for names, tally in rows),
    )
    yield _counter(
        "tunery_adapter_failed_loads",
        "Loads that failed: files damaged, refused by the engine, or the engine unavailable.",
        (*labels, "reason"),
        _each(rows, lambda tally: tally.failed_loads),
    )
    yield _counter(
        "tunery_adapter_unloads",
        "Adapters taken out of the engine: evicted for another one, or deleted.",
        (*labels, "reason"),
        _each(rows, lambda tally: tally.unloads),
    )


def of_tiers(
    tallies: Busiest[AdapterTally], held: Mapping[str, Collection[str]]
) -> Iterator[Metric]:
    """Which adapters the engine holds; ``held`` has their names by tier."""
    known = {names for names, _ in tallies.rows()}
    yield _filled(
        GaugeMetricFamily(
            "tunery_adapter_resident",
            "Adapters that the engine holds, by tier: in memory, in a slot (in use right now).",
            labels=(*tallies.labels, "tier"),
        ),
        (
            ((*labels, tier), count)
            for tier, names in held.items()
            for labels, count in Counter(
                (name,) if (name,) in known else tallies.other for name in names
            ).items()
        ),
    )


def of_aliases(tallies: Busiest[AliasTally]) -> Iterator[Metric]:
    """Who answers under an alias, and how its shadow compares."""
    rows, labels = tallies.rows(), tallies.labels
    yield _counter(
        "tunery_alias_requests",
        "Inference requests that named an alias, by who answered: stable, canary, or a shadow.",
        (*labels, "arm", "status"),
        _each(rows, lambda tally: tally.requests),
    )
    yield _histogram(
        "tunery_shadowed_duration_seconds",
        "Time in the engine of requests that have a shadow, and of their shadows.",
        (*labels, "role"),
        (
            ((*names, role), durations)
            for names, tally in rows
            for role, durations in tally.durations.copy().items()
        ),
    )
    yield _counter(
        "tunery_shadowed_completion_tokens",
        "Tokens of answers that have a shadow, and of their shadows.",
        (*labels, "role"),
        _each(rows, lambda tally: tally.completion_tokens),
    )


def of_jobs(tallies: Busiest[JobTally]) -> Iterator[Metric]:
    """Fine-tuning jobs, as every gateway finds them in the record."""
    rows, labels = tallies.rows(), tallies.labels
    yield _filled(
        GaugeMetricFamily(
            "tunery_tenant_fine_tuning_jobs",
            "Fine-tuning jobs that have not ended, by tenant and status.",
            labels=(*labels, "status"),
        ),
        _each(rows, lambda tally: tally.standing),
    )
    yield _counter(
        "tunery_tenant_fine_tuning_jobs_ended",
        "Fine-tuning jobs that have ended, by tenant and last status.",
        (*labels, "status"),
        _each(rows, lambda tally: tally.ended),
    )
    yield _histogram(
        "tunery_tenant_claim_wait_seconds",
        "Time that a job had waited for a worker when one claimed it, runs and pauses left out.",
        labels,
        ((names, tally.claim_wait) for names, tally in rows),
    )
    yield _counter(
        "tunery_tenant_trained_tokens",
        "Tokens that trainers learnt from, by tenant.",
        labels,
        ((names, tally.trained_tokens) for names, tally in rows),
    )
    yield _counter(
        "tunery_tenant_training_seconds",
        "Time that trainers trained, by tenant.",
        labels,
        ((names, tally.training_s) for names, tally in rows),
    )
    yield _counter(
        "tunery_tenant_training_energy_joules",
        "Energy that training took of devices that count it, by tenant.",
        labels,
        ((names, tally.training_j) for names, tally in rows),
    )


def _each(
    rows: Iterable[tuple[Labels, T]], counts: Callable[[T], Counts]
) -> Iterator[tuple[Labels, float]]:
    """Every count of every name, under the name's labels and its own."""
    for names, tally in rows:
        for values, count in counts(tally).copy().items():
            yield (*names, *values), count


def _counter(
    name: str, meaning: str, labels: Labels, samples: Iterable[tuple[Labels, float]]
) -> Metric:
    return _filled(CounterMetricFamily(name, meaning, labels=labels), samples)


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily, samples: Iterable[tuple[Labels, float]]
) -> Metric:
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _histogram(
    name: str, meaning: str, labels: Labels, samples: Iterable[tuple[Labels, Histogram]]
) -> Metric:
    family = HistogramMetricFamily(name, meaning, labels=labels)
    for values, histogram in samples:
        family.add_metric(values, histogram.buckets(), histogram.sum)
    return family
