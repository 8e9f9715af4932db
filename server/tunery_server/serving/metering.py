"""Holds each request to its caller's limits."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tunery_server.errors import LimitsUnavailable, QuotaExceeded, RateLimited, TuneryError
from tunery_server.limits.contract import Grant, Limiter, Limits, Refusal
from tunery_server.serving.caller import Caller
from tunery_server.serving.usage import Usage
from tunery_server.telemetry import metrics
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_BYTES_A_TOKEN = 4
"""Of a body in English; what a prompt is taken for until the engine has counted it."""
_ANSWER_TOKENS = 256
"""What an answer is taken for when the request does not bound it."""
_BOUNDS = ("max_completion_tokens", "max_tokens")

_UNITS = {
    "requests_per_minute": "{limit} requests a minute",
    "tokens_per_minute": "{limit} tokens a minute",
    "concurrent_requests": "{limit} requests at once",
}


class Meter:
    """One request's leave, to be settled with what it took."""

    def __init__(self, limiter: Limiter, grant: Grant | None) -> None:
        self._limiter = limiter
        self._grant = grant

    async def settle(self, usage: Usage | None) -> None:
        """Give back what the request did not take. Only the first call counts."""
        grant, self._grant = self._grant, None
        if grant is None:
            return
        tokens = usage.prompt_tokens + usage.completion_tokens if usage else 0
        try:
            await self._limiter.settle(grant, tokens=tokens)
        except LimitsUnavailable:
            log.warning("a request's limits were not settled: Redis does not answer")


class Metering:
    """Takes a request from its caller's limits before it may wait for a place in the engine."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    @asynccontextmanager
    async def metered(self, caller: Caller, tokens: int) -> AsyncIterator[Meter]:
        """Hold leave for one request that is expected to take ``tokens``.

        Without Redis it passes uncounted: the engine is protected by its own bounds, and a hiccup
        of the counter should fail nobody. Raises RateLimited, or QuotaExceeded for a request that
        no wait will let through.
        """
        meter = Meter(self._limiter, await self._leave(caller, tokens))
        try:
            yield meter
        finally:
            await meter.settle(None)

    async def _leave(self, caller: Caller, tokens: int) -> Grant | None:
        if not any(subject.limits for subject in caller.subjects):
            return None
        try:
            leave, standing = await self._limiter.take(caller.subjects, tokens=tokens)
        except LimitsUnavailable:
            metrics.REQUESTS_UNCOUNTED.inc()
            return None
        caller.told(standing)
        if isinstance(leave, Refusal):
            metrics.RATE_LIMITED.labels(leave.limit).inc()
            raise _refused(leave, [subject.limits for subject in caller.subjects])
        return leave


def tokens_of(body: dict[str, Any], size: int) -> int:
    """What a request is expected to take: its prompt by its bytes, its answer by its bound."""
    bound = next((body[name] for name in _BOUNDS if body.get(name) is not None), _ANSWER_TOKENS)
    answers: int = (body.get("n") or 1) * bound
    return math.ceil(size / _BYTES_A_TOKEN) + answers


def _refused(refusal: Refusal, limits: list[Limits]) -> TuneryError:
    bounds = (getattr(one, refusal.limit) for one in limits)
    limit = _UNITS[refusal.limit].format(limit=min(bound for bound in bounds if bound))
    if refusal.wait_s is None:
        return QuotaExceeded(
            f"The request is larger than the limit of {limit}. Send a shorter one, or ask for "
            "fewer tokens.",
            code="rate_limit_exceeded",
        )
    wait_s = max(1, math.ceil(refusal.wait_s))
    return RateLimited(f"The limit of {limit} is reached.", retry_after_s=wait_s)
