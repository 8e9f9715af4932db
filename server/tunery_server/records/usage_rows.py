"""What was used, as the record sums it up."""

from collections.abc import Collection
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

HOUR_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageKey:
    """What is counted by itself. A field that was not told apart is empty."""

    hour: int
    """When it begins, in Unix seconds."""
    tenant_id: str = ""
    key_id: str = ""
    model: str = ""
    background: bool = False
    """Of a batch."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much was used. Each is a sum."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    """Of the input tokens, those that the engine had worked out before."""
    output_tokens: int = 0
    trained_tokens: int = 0
    training_s: float = 0.0
    energy_j: float | None = None
    """That trainings took of their devices, in joules; None where no device counts it."""

    def __add__(self, other: "Amounts") -> "Amounts":
        pairs = zip(_values(self), _values(other), strict=True)
        return Amounts(*(added(one, another) for one, another in pairs))


_values = attrgetter(*Amounts.__slots__)


@dataclass(frozen=True, slots=True)
class UsageRow:
    """How much of what."""

    key: UsageKey
    amounts: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """Sums over periods of ``width_s`` from ``start`` up to ``end``. Times are Unix seconds.

    ``by`` names fields of :class:`UsageKey` that are told apart; the others are added up. Of the
    rest None asks for all.
    """

    start: int
    end: int
    width_s: int = HOUR_S
    by: tuple[str, ...] = ()
    tenants: Collection[str] | None = None
    keys: Collection[str] | None = None
    models: Collection[str] | None = None
    background: bool | None = None
    inference: bool | None = None
    """Only where there were requests, or only where there were none."""


def added(one: Any, other: Any) -> Any:
    """The sum of two numbers, of which one that is not known is no part; None without any."""
    if one is None or other is None:
        return other if one is None else one
    return one + other
