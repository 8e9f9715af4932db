"""Counts tenants' jobs out of the record, for workers have no door that a scraper could ask at.

Every gateway finds the same, so ``max by`` is how to read several of them.
"""

import threading
from collections.abc import Callable, Hashable, Iterable
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tunery_server.records.job_numbers import Course, Standing, Training
from tunery_server.telemetry import families
from tunery_server.telemetry.busiest import Busiest
from tunery_server.telemetry.tally import JobTally

_LATE_S = 300.0
"""What happened may be seen in the record so much later, for clocks and transactions differ."""


class JobNumbers(Protocol):
    """The record, as far as statistics need it. Blocking."""

    def standings(self) -> tuple[Standing, ...]:
        """Jobs that have not ended."""

    def courses(self, since: float) -> tuple[Course, ...]:
        """Jobs that have not ended, and those that ended later than ``since``."""

    def trainings(self, since: float) -> tuple[Training, ...]:
        """By hour, of those that were not over at ``since``."""


class _Once:
    """Tells each event apart from those that an earlier look saw."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, float] = {}

    def is_new(self, event: Hashable, at: float | None, since: float) -> bool:
        if at is None or at <= since or event in self._seen:
            return False
        self._seen[event] = at
        return True

    def forget(self, since: float) -> None:
        self._seen = {event: at for event, at in self._seen.items() if at > since}


class JobStatistics(Collector):
    """By tenant, for the ``size`` that have the most jobs claimed and for all others.

    What there was before the first look is not counted. Blocking, from any thread.
    """

    def __init__(self, size: int, numbers: JobNumbers, *, clock: Callable[[], float]) -> None:
        self._tallies = Busiest(size, JobTally, labels=("tenant",))
        self._numbers = numbers
        self._clock = clock
        self._since: float | None = None
        self._claims, self._ends = _Once(), _Once()
        self._trained: dict[tuple[int, str], Training] = {}
        self._guard = threading.Lock()

    def look(self) -> None:
        """Take in what happened since the last look."""
        with self._guard:
            horizon, first = self._clock() - _LATE_S, self._since is None
            since = horizon if self._since is None else self._since
            for course in self._numbers.courses(since):
                self._follow(course, since, counted=not first)
            self._train(self._numbers.trainings(since), counted=not first)
            self._stand(self._numbers.standings())
            self._since = horizon
            for events in (self._claims, self._ends):
                events.forget(horizon)

    def collect(self) -> Iterable[Metric]:
        """The metrics as of the last look."""
        with self._guard:
            return list(families.of_jobs(self._tallies))

    def _follow(self, course: Course, since: float, *, counted: bool) -> None:
        attempt = (course.job_id, course.attempt)
        claimed = self._claims.is_new(attempt, course.started_at, since) and counted
        ended = self._ends.is_new(course.job_id, course.finished_at, since) and counted
        if claimed:
            tally = self._tallies.of((course.tenant_id,))
            tally.claim_wait.observe(max(0.0, course.waited_s or 0.0))
        if ended:
            self._tallies.of((course.tenant_id,), traffic=0).ended[course.status,] += 1

    def _train(self, trainings: Iterable[Training], *, counted: bool) -> None:
        before, self._trained = self._trained, {(one.hour, one.tenant_id): one for one in trainings}
        for key, training in self._trained.items() if counted else ():
            known = before.get(key, Training(*key))
            tally = self._tallies.of((training.tenant_id,), traffic=0)
            tally.trained_tokens += max(0, training.tokens - known.tokens)
            tally.training_s += max(0.0, training.seconds - known.seconds)
            tally.training_j += max(0.0, training.joules - known.joules)

    def _stand(self, standings: Iterable[Standing]) -> None:
        for _, tally in self._tallies.rows():
            tally.standing.clear()
        for standing in standings:
            tally = self._tallies.of((standing.tenant_id,), traffic=0)
            tally.standing[standing.status,] += standing.count
