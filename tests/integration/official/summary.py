"""What became of the client's own tests, method by method."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .archive import VERSION
from .calls import Call
from .run import Outcome


@dataclass
class Row:
    """Tests of one method of the client that sent something to the server."""

    routes: set[str] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
        self.routes |= {route for route, _ in outcome.asked}
        self.outcomes[outcome.outcome] += 1
        if outcome.outcome == "expected":
            self.reasons[outcome.reason] += 1

    def described(self) -> dict[str, Any]:
        """For docs/compatibility.md. What had to fail was skipped, as far as a reader cares."""
        return {
            "routes": sorted(self.routes - {""}),
            "passed": self.outcomes["passed"],
            "skipped": dict(sorted(self.reasons.items())),
            "failed": self.outcomes["failed"],
        }


def summary(calls: Iterable[Call], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Counts for each method, and of the tests that sent nothing."""
    methods = {call.test: call.method for call in calls}
    rows: dict[str, Row] = {}
    sent = [outcome for outcome in outcomes if outcome.asked]
    for outcome in sent:
        rows.setdefault(methods[outcome.test.partition("[")[0]], Row()).add(outcome)
    return {
        "openai": VERSION,
        "without_a_request": len(outcomes) - len(sent),
        "methods": {method: row.described() for method, row in sorted(rows.items())},
    }
