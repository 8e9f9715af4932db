"""Medians, and how sure they are."""

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_RESAMPLES = 2000
_COVERED = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A median, and between what it lies."""

    median: float
    low: float
    high: float


def interval(values: Sequence[float], *, seed: int = 0) -> Interval:
    """The median with its 95 % interval by the percentile bootstrap (Efron, 1979).

    Of fewer than six values the interval is as good as from the least to the greatest.
    """
    draws = random.Random(seed)  # noqa: S311 - resampling is no secret
    medians = [statistics.median(draws.choices(values, k=len(values))) for _ in range(_RESAMPLES)]
    tail = 100 * (1 - _COVERED) / 2
    return Interval(
        statistics.median(values), percentile(medians, tail), percentile(medians, 100 - tail)
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that ``percent`` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
