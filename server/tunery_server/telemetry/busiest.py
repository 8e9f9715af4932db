"""Whose metrics are told apart: the busiest names have numbers of their own, all others share one.

Names are tenants, adapters, aliases: as many as there are customers, so they cannot all be labels.
A counter must not fall, though, and nothing may move from one label to another, or Prometheus would
count it twice. So a name keeps its label and the label its numbers, and giving way takes two steps:

1. A busier name is there: the least busy one of those with a label is closed. Its numbers stand
   still, what it does from then on counts as ``other``.
2. A review later, when every scraper has seen the last of them, its numbers go, and the busiest
   name without a label begins at 0.

Nothing is ever subtracted, and whoever scrapes at least once every :data:`REVIEW_S` sees every
increase exactly once. Until there are more names than labels each has one from its first request.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Generic, TypeVar

REVIEW_S = 600.0
"""How often labels may change hands, and how long a closed one can still be read."""

_KEPT = 0.99
"""Of a name's traffic, at each review: half of it is forgotten in half a day."""
_FACTOR, _LEAD = 2.0, 10.0
"""A name has to be busier by so much to be given another's label: who is about even stays."""
_WATCHED = 4
"""Names without a label whose traffic is known, for each label."""

OTHER = "other"
Labels = tuple[str, ...]
T = TypeVar("T")


@dataclass(slots=True)
class _Seat(Generic[T]):
    numbers: T
    traffic: float = 0.0
    closed: bool = False


class Busiest(Generic[T]):
    """Numbers by name, for ``size`` names at most, and for all others together.

    The traffic of names without a label is estimated in bounded memory, never too high, as in
    Misra and Gries, "Finding repeated elements" (1982): a name with more than a ``4 * size``-th of
    it is found, and a million names that come once each displace nobody. For one thread; another
    one may read.
    """

    def __init__(
        self,
        size: int,
        make: Callable[[], T],
        *,
        labels: Labels,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.labels = labels
        """What a name consists of."""
        self.other: Labels = (OTHER,) * len(labels)
        """What all others are called; who is really called so is one of them."""
        self._size = size
        self._make = make
        self._timer = timer
        self._others = make()
        self._seats: dict[Labels, _Seat[T]] = {}
        self._watched: dict[Labels, float] = {}
        self._review_at = timer() + REVIEW_S

    def of(self, name: Labels, traffic: int = 1) -> T:
        """The numbers that ``name`` counts in, with so much more traffic of it."""
        if self._timer() >= self._review_at:
            self._review()
        seat = self._seats.get(name)
        if seat is None and len(self._seats) < self._size and name != self.other:
            seat = self._seats[name] = _Seat(self._make())
        if seat is None or seat.closed:
            self._watch(name, traffic)
            return self._others
        seat.traffic += traffic
        return seat.numbers

    def rows(self) -> list[tuple[Labels, T]]:
        """Each name with numbers of its own, and at the end all others."""
        seats = self._seats.copy().items()
        return [*((name, seat.numbers) for name, seat in seats), (self.other, self._others)]

    def _watch(self, name: Labels, traffic: int) -> None:
        watched = self._watched
        if name == self.other:
            return
        if name in watched or len(watched) < _WATCHED * self._size:
            watched[name] = watched.get(name, 0.0) + traffic
        else:
            self._watched = {one: had - traffic for one, had in watched.items() if had > traffic}

    def _review(self) -> None:
        self._review_at = self._timer() + REVIEW_S
        self._hand_over()
        self._watched = {name: had * _KEPT for name, had in self._watched.items()}
        for seat in self._seats.values():
            seat.traffic *= _KEPT
        self._close()

    def _hand_over(self) -> None:
        """Labels closed a review ago go to others, or are opened again when nobody wants them."""
        closed = [name for name, seat in self._seats.items() if seat.closed]
        heirs = sorted(self._watched.keys() - closed, key=self._watched.__getitem__, reverse=True)
        for name, heir in zip_longest(closed, heirs[: len(closed)]):
            if heir is None:
                self._seats[name].closed = False
            else:
                del self._seats[name]
                self._seats[heir] = _Seat(self._make(), self._watched.pop(heir))

    def _close(self) -> None:
        """Close the labels that busier names want, the least busy first."""
        wanting = sorted(self._watched.values(), reverse=True)
        seats = sorted(self._seats.values(), key=lambda seat: seat.traffic)
        for traffic, seat in zip(wanting, seats, strict=False):
            seat.closed = traffic > _FACTOR * seat.traffic + _LEAD
