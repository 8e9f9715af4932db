"""Times counted by length, at a cost that a request can bear once a token."""

from bisect import bisect_left
from collections.abc import Sequence
from math import inf

SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0
)  # fmt: skip
"""Upper bounds of the buckets for what a client waits for, in seconds; the last one has none."""
MINUTES = (0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)
"""The same for what is waited for in a queue."""


class Histogram:
    """A cumulative histogram as Prometheus reads it. For one thread; another one may read."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float, times: int = 1) -> None:
        """Count a time, or several of the same length."""
        self._counts[bisect_left(self._bounds, seconds)] += times
        self._sum += seconds * times

    def add(self, other: "Histogram") -> None:
        """Count everything that ``other`` counted; both have the same bounds."""
        for place, count in enumerate(other._counts):
            self._counts[place] += count
        self._sum += other._sum

    @property
    def sum(self) -> float:
        """All of them together, in seconds."""
        return self._sum

    def buckets(self) -> list[tuple[str, float]]:
        """Each bound and how many times were no longer than that; the last one is all of them."""
        counts, so_far, buckets = list(self._counts), 0, []
        for bound, count in zip([*self._bounds, inf], counts, strict=True):
            so_far += count
            buckets.append(("+Inf" if bound == inf else repr(bound), float(so_far)))
        return buckets
