"""Counts tenants' jobs out of the record, for workers have no door that a scraper could ask at.

Every gateway finds the same, so ``max by`` is how to read several of them.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tunery_server.records.job_numbers import Claim, Ended, Standing, Training
from tunery_server.telemetry import families
from tunery_server.telemetry.busiest import Busiest
from tunery_server.telemetry.tally import JobTally

_LATE_S = 300.0
"""What happened may be seen in the record so much later, for clocks and transactions differ."""


class JobNumbers(Protocol):
    """The record, as far as statistics need it. Blocking."""

    def standings(self) -> tuple[Standing, ...]:
        """Jobs that have not ended."""

    def claims(self, since: float) -> tuple[Claim, ...]:
        """Those later than ``since``, in Unix seconds."""

    def ended(self, since: float, later: float) -> tuple[Ended, ...]:
        """Jobs that ended after ``since``, those apart that ended after ``later``, Unix seconds."""

    def trainings(self, since: float) -> tuple[Training, ...]:
        """By hour, of those that were not over at ``since``."""


class JobStatistics(Collector):
    """By tenant, for the ``size`` that have the most jobs claimed and for all others.

    What there was before the first look is not counted. Blocking, from any thread.
    """

    def __init__(self, size: int, numbers: JobNumbers, *, clock: Callable[[], float]) -> None:
        self._tallies = Busiest(size, JobTally, labels=("tenant",))
        self._numbers = numbers
        self._clock = clock
        self._since: float | None = None
        self._claimed: frozenset[tuple[str, int]] = frozenset()
        self._ended: Counter[tuple[str, str]] = Counter()
        self._trained: dict[tuple[int, str], Training] = {}
        self._guard = threading.Lock()

    def look(self) -> None:
        """Take in what happened since the last look."""
        with self._guard:
            before, horizon = self._since, self._clock() - _LATE_S
            since = horizon if before is None else min(before, horizon)
            claims = self._numbers.claims(since)
            ended = self._numbers.ended(since, horizon)
            trainings, standings = self._numbers.trainings(since), self._numbers.standings()
            counted = since == before  # not at first, nor where the clock was set back
            self._since = horizon
            self._claim(claims, counted=counted)
            self._end(ended, counted=counted)
            self._train(trainings, counted=counted)
            self._stand(standings)

    def collect(self) -> Iterable[Metric]:
        """The metrics as of the last look."""
        with self._guard:
            return list(families.of_jobs(self._tallies))

    def _claim(self, claims: Iterable[Claim], *, counted: bool) -> None:
        """Count those that are new: the last look saw all that are as late and were there."""
        found = {(claim.job_id, claim.attempt): claim for claim in claims}
        before, self._claimed = self._claimed, frozenset(found)
        for key in found.keys() - before if counted else ():
            tally = self._tallies.of((found[key].tenant_id,))
            tally.claim_wait.observe(max(0.0, found[key].waited_s))

    def _end(self, ended: Iterable[Ended], *, counted: bool) -> None:
        """Count by how many there are more than the last look saw, later than the same moment."""
        before, self._ended, found = self._ended, Counter(), Counter[tuple[str, str]]()
        for some in ended:
            found[some.tenant_id, some.status] += some.count
            self._ended[some.tenant_id, some.status] += some.count if some.late else 0
        for (tenant_id, status), count in (found - before).items() if counted else ():
            self._tallies.of((tenant_id,), traffic=0).ended[status,] += count

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
