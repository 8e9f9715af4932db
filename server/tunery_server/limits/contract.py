"""What limits a caller has, and what stands between it and its next request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

WINDOW_S = 60.0
"""A bucket that is empty is full again after this long; limits are "per minute"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """0 is no bound."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    """Of prompts and answers together."""
    concurrent_requests: int = 0

    def __bool__(self) -> bool:
        return bool(self.requests_per_minute or self.tokens_per_minute or self.concurrent_requests)


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom limits belong to: a key or a tenant, by an id that no other subject has."""

    id: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Level:
    """How much of one limit is left, and when all of it is there again."""

    limit: int
    remaining: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class Standing:
    """The tightest levels among a caller's subjects; None where nothing is limited."""

    requests: Level | None = None
    tokens: Level | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave for one request, until it is settled."""

    id: str
    subjects: tuple[Subject, ...]
    reserved_tokens: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request has to wait, and for how long.

    ``limit`` is the name of a field of :class:`Limits`. ``wait_s`` is None when no wait will do:
    the request alone is larger than the limit.
    """

    limit: str
    wait_s: float | None


class Limiter(Protocol):
    """Counts for all gateways together. Buckets refill all the time: there is no window's end."""

    async def take(
        self, subjects: Sequence[Subject], *, tokens: int
    ) -> tuple[Grant | Refusal, Standing]:
        """Count one request and reserve ``tokens`` with every subject, or with none of them.

        Raises LimitsUnavailable.
        """

    async def settle(self, grant: Grant, *, tokens: int) -> None:
        """The request has ended: give its place back, and what it reserved beyond ``tokens``.

        Tokens beyond the reservation are charged. Raises LimitsUnavailable.
        """
