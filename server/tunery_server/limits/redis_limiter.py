"""Limits counted on Redis 6.2 or newer, or Valkey, one call a request. Time is the server's."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
import redis.asyncio

from tunery_server.errors import LimitsUnavailable
from tunery_server.ids import new_id
from tunery_server.limits.contract import Grant, Level, Refusal, Standing, Subject

_LUA = Path(__file__).parent / "lua"
_SCRIPTS = ("take", "settle", "renew")
LEASE_S = 30.0
"""The open requests of a gateway that died stop counting after this long."""
_RENEWALS_A_LEASE = 3


class RedisLimiter:
    """Implements :class:`Limiter`. All keys of one tenant's subjects lie in one slot of a cluster.

    :meth:`run` has to go on beside the requests, or those longer than a lease stop counting.
    """

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        *,
        lease_s: float = LEASE_S,
        prefix: str = "{tunery}",
    ) -> None:
        prelude = (_LUA / "prelude.lua").read_text()
        self._scripts = {
            name: client.register_script(prelude + (_LUA / f"{name}.lua").read_text())
            for name in _SCRIPTS
        }
        self._lease_s = lease_s
        self._prefix = prefix
        self._open: dict[str, Grant] = {}

    async def take(
        self, subjects: Sequence[Subject], *, tokens: int
    ) -> tuple[Grant | Refusal, Standing]:
        """Count one request and reserve ``tokens`` with every subject, or with none of them."""
        limited = tuple(subject for subject in subjects if subject.limits)
        grant = Grant(new_id(""), limited, tokens)
        if not limited:
            return grant, Standing()
        words = [grant.id, int(self._lease_s * 1000), tokens, *_limits(limited)]
        refused, wait_ms, *left = await self._run("take", self._keys(limited), words)
        standing = _standing(limited, left)
        if refused:
            wait_s = None if wait_ms < 0 else wait_ms / 1000
            return Refusal(refused.decode(), wait_s), standing
        self._open[grant.id] = grant
        return grant, standing

    async def settle(self, grant: Grant, *, tokens: int) -> None:
        """The request has ended: give its place back, and what it reserved beyond ``tokens``."""
        self._open.pop(grant.id, None)
        if not grant.subjects:
            return
        words = [grant.id, tokens - grant.reserved_tokens, *_limits(grant.subjects)]
        await self._run("settle", self._keys(grant.subjects), words)

    async def run(self) -> None:
        """Renew the leases of open requests until cancelled."""
        while True:
            await asyncio.sleep(self._lease_s / _RENEWALS_A_LEASE)
            await self.renew()

    async def renew(self) -> None:
        """Say of every open request that it is not lost; without Redis that has to wait."""
        held = [
            (self._open_key(s), grant.id) for grant in self._open.values() for s in grant.subjects
        ]
        if not held:
            return
        keys, grants = zip(*held, strict=True)
        try:
            await self._run("renew", list(keys), [int(self._lease_s * 1000), *grants])
        except LimitsUnavailable:
            return

    def _keys(self, subjects: Sequence[Subject]) -> list[str]:
        return [
            key
            for subject in subjects
            for key in (f"{self._prefix}:limits:{subject.id}", self._open_key(subject))
        ]

    def _open_key(self, subject: Subject) -> str:
        return f"{self._prefix}:open:{subject.id}"

    async def _run(self, script: str, keys: list[str], words: list[Any]) -> Any:
        with _unavailable():
            return await self._scripts[script](keys=keys, args=words)


def _limits(subjects: Sequence[Subject]) -> Iterator[int]:
    """Three words for each, as the scripts read them."""
    for subject in subjects:
        limits = subject.limits
        yield from (
            limits.requests_per_minute,
            limits.tokens_per_minute,
            limits.concurrent_requests,
        )


def _standing(subjects: Sequence[Subject], left: Sequence[int]) -> Standing:
    requests, tokens = [], []
    for i, subject in enumerate(subjects):
        requests_left, requests_reset_ms, tokens_left, tokens_reset_ms = left[4 * i : 4 * i + 4]
        if rpm := subject.limits.requests_per_minute:
            requests.append(Level(rpm, requests_left, requests_reset_ms / 1000))
        if tpm := subject.limits.tokens_per_minute:
            tokens.append(Level(tpm, tokens_left, tokens_reset_ms / 1000))
    return Standing(_tightest(requests), _tightest(tokens))


def _tightest(levels: Sequence[Level]) -> Level | None:
    return min(levels, key=lambda level: level.remaining, default=None)


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise LimitsUnavailable("Redis does not answer.") from error
