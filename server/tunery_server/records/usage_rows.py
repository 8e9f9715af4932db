"""What was used, as the record sums it up."""

from dataclasses import astuple, dataclass


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

    def __add__(self, other: "Amounts") -> "Amounts":
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Amounts(*(one + another for one, another in pairs))


@dataclass(frozen=True, slots=True)
class UsageRow:
    """How much of what."""

    key: UsageKey
    amounts: Amounts
