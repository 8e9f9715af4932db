"""What a benchmark is: loads that take turns, and claims about the figures that they yield."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum

Figures = Mapping[str, float]
"""What one load yielded, by name, in the units of the claims about it."""

Load = Callable[[], Figures]
"""Puts one load on what is measured. Loads of a benchmark yield figures of different names."""


class Form(StrEnum):
    """How a claim's value comes from its two figures."""

    RATIO = "ratio"
    DIFFERENCE = "difference"
    FIGURE = "figure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One figure, or two figures of the same round held against each other."""

    id: str
    says: str
    """What the value is, in words."""
    unit: str
    """Of the figures; a ratio has none."""
    numerator: str
    denominator: str | None = None
    form: Form = Form.RATIO
    bar: float
    """What has to hold in a release."""
    moonshot: float
    more_is_better: bool = False

    def value(self, figures: Figures) -> float:
        """The claim's value in one round."""
        above = figures[self.numerator]
        if self.form is Form.FIGURE or self.denominator is None:
            return above
        below = figures[self.denominator]
        return above / below if self.form is Form.RATIO else above - below

    def holds(self, value: float, mark: float) -> bool:
        """Whether ``value`` is as good as ``mark``."""
        return value >= mark if self.more_is_better else value <= mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One file of benchmarks/measured."""

    id: str
    title: str
    load: str
    """What is asked of what, in words."""
    claims: tuple[Claim, ...]
    open: Callable[[], AbstractContextManager[Sequence[Load]]]
    """Start what is measured; the loads are put on it until the context is left."""
    rounds: int = 5
    warm_ups: int = 1
