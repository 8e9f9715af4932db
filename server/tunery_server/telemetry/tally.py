"""What is counted for one name; ``telemetry/busiest.py`` chooses the names."""

from collections import Counter
from dataclasses import dataclass, field

from tunery_server.telemetry.busiest import Labels
from tunery_server.telemetry.histogram import MINUTES, Histogram

Counts = Counter[Labels]
"""By the values of further labels."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """Inference requests of a tenant, or for a model."""

    requests: Counts = field(default_factory=Counter)
    """By the class of their status."""
    tokens: Counts = field(default_factory=Counter)
    """By kind: prompt, cached, completion."""
    queue_wait: Histogram = field(default_factory=Histogram)
    time_to_first_token: Histogram = field(default_factory=Histogram)
    inter_token_latency: Histogram = field(default_factory=Histogram)


@dataclass(slots=True, kw_only=True)
class AdapterTally(Tally):
    """Those for a model, and what it took to have it in the engine."""

    loads: Histogram = field(default_factory=Histogram)
    """Their times, from the check of the files on."""
    failed_loads: Counts = field(default_factory=Counter)
    """By reason."""
    unloads: Counts = field(default_factory=Counter)
    """By reason."""


@dataclass(slots=True, kw_only=True)
class AliasTally:
    """Requests that named an alias."""

    requests: Counts = field(default_factory=Counter)
    """By arm, and the class of their status."""
    durations: dict[str, Histogram] = field(default_factory=dict)
    """In the engine, by role: ``primary`` for requests that have a shadow, and ``shadow``."""
    completion_tokens: Counts = field(default_factory=Counter)
    """By role."""


@dataclass(slots=True, kw_only=True)
class JobTally:
    """Fine-tuning jobs of a tenant."""

    standing: Counts = field(default_factory=Counter)
    """Those that have not ended, by status."""
    ended: Counts = field(default_factory=Counter)
    """By last status."""
    claim_wait: Histogram = field(default_factory=lambda: Histogram(MINUTES))
    trained_tokens: int = 0
    training_s: float = 0.0
    training_j: float = 0.0
    """Joules that devices with a counter say they took."""
