"""What came of a claim, and the file that keeps it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.benchmark import Claim, Figures, Form
from benchmarks.interval import interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One side of a claim: what it is, and its median over the rounds."""

    what: str
    unit: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A claim's value with its interval beside what it should be."""

    value: float
    low: float
    high: float
    bar: float
    moonshot: float
    more_is_better: bool
    unit: str
    numerator: Figure
    denominator: Figure | None
    rounds: int
    command: str
    says: str
    met: str
    """``moonshot``, ``bar`` or ``no``: the best that the whole interval clears."""
    run: str
    """When it was measured: a key of ``runs`` in the same file."""

    @classmethod
    def of(cls, claim: Claim, rounds: Sequence[Figures], *, command: str, run: str) -> Self:
        """What the rounds say of the claim."""
        found = interval([claim.value(figures) for figures in rounds])
        return cls(
            value=found.median,
            low=found.low,
            high=found.high,
            bar=claim.bar,
            moonshot=claim.moonshot,
            more_is_better=claim.more_is_better,
            unit="ratio" if claim.form is Form.RATIO else claim.unit,
            numerator=_figure(claim, claim.numerator, rounds),
            denominator=_figure(claim, claim.denominator, rounds) if claim.denominator else None,
            rounds=len(rounds),
            command=command,
            says=claim.says,
            met=_met(claim, found.low if claim.more_is_better else found.high),
            run=run,
        )


def write(file: Path, outcomes: Mapping[str, Outcome], run: Mapping[str, Any]) -> dict[str, Any]:
    """Put the outcomes of one run into ``file``, beside those of earlier runs; all of them.

    ``run`` tells of the machine; its ``at`` is what the outcomes name it by.
    """
    kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    runs = {**kept.pop("runs", {}), run["at"]: dict(run)}
    found = {**kept, **{id: asdict(outcome) for id, outcome in outcomes.items()}}
    named = {entry["run"] for entry in found.values()}
    everything = {
        **dict(sorted(found.items())),
        "runs": {at: told for at, told in runs.items() if at in named},
    }
    file.write_text(json.dumps(everything, indent=1) + "\n")
    return everything


def _figure(claim: Claim, name: str, rounds: Sequence[Figures]) -> Figure:
    median = interval([figures[name] for figures in rounds]).median
    return Figure(what=name, unit=claim.unit, value=median)


def _met(claim: Claim, worst: float) -> str:
    if claim.holds(worst, claim.moonshot):
        return "moonshot"
    return "bar" if claim.holds(worst, claim.bar) else "no"
