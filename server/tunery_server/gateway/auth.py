"""From the Authorization header to a principal.

Keys are looked up by digest, and nothing but the digest is compared, stored or cached.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tunery_server.errors import PermissionDenied, Unauthenticated
from tunery_server.limits.contract import Limits, Subject
from tunery_server.records.rights import (
    ADAPTERS,
    ADMIN,
    ALL_SCOPES,
    FILES,
    INFERENCE,
    JOBS,
    TENANT_SCOPES,
)
from tunery_server.records.rows import ApiKey
from tunery_server.tenants.key_uses import KeyUses
from tunery_server.tenants.keys import KEY_PREFIX, digest_of, new_key

__all__ = [
    "ADAPTERS",
    "ADMIN",
    "ALL_SCOPES",
    "CACHE_S",
    "FILES",
    "INFERENCE",
    "JOBS",
    "KEY_PREFIX",
    "TENANT_SCOPES",
    "Authenticator",
    "KeyLookup",
    "Principal",
    "digest_of",
    "new_key",
]

CACHE_S = 5.0
"""A revoked key stops working within this time."""
_CACHE_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Every object that it makes or sees belongs to ``tenant_id``."""

    key_id: str
    tenant_id: str
    scopes: frozenset[str]
    subjects: tuple[Subject, ...] = ()
    """The key and its tenant, with the limits of each."""

    def require(self, scope: str) -> None:
        """Raises PermissionDenied unless the key carries the scope."""
        if scope not in self.scopes:
            raise PermissionDenied(f"This key lacks the scope {scope!r}.")


class KeyLookup(Protocol):
    """The record of keys, as far as authentication needs it."""

    def by_digest(self, digest: str) -> ApiKey | None:
        """The key with this digest, revoked or not, unless its tenant is archived."""


class Authenticator:
    """Checks keys, remembering the good ones for :data:`CACHE_S` seconds."""

    def __init__(
        self,
        keys: KeyLookup,
        *,
        uses: KeyUses,
        limits_of: Callable[[str], Limits],
        clock: Callable[[], float],
        timer: Callable[[], float],
    ) -> None:
        self.uses = uses
        self._keys = keys
        self._limits_of = limits_of
        self._clock = clock
        self._timer = timer
        self._cache: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    async def principal(self, authorization: list[str]) -> Principal:
        """The principal behind the Authorization headers. Raises Unauthenticated."""
        digest = digest_of(_bearer(authorization))
        cached = self._cache.get(digest)
        if cached is not None and self._timer() < cached[0]:
            return cached[1]
        principal = await asyncio.to_thread(self._look_up, digest)
        if principal is None:
            self._cache.pop(digest, None)
            raise _rejected()
        self._remember(digest, principal)
        return principal

    def _look_up(self, digest: str) -> Principal | None:
        key = self._keys.by_digest(digest)
        if key is None or not key.valid_at(self._clock()):
            return None
        self.uses.note(key)
        tenant = Subject(f"tenant:{key.tenant_id}", self._limits_of(key.tenant_id))
        subjects = (Subject(f"key:{key.id}", key.limits), tenant)
        return Principal(key.id, key.tenant_id, frozenset(key.scopes), subjects)

    def _remember(self, digest: str, principal: Principal) -> None:
        """And forget those whose time is over; who was looked up first is first."""
        now = self._timer()
        self._cache[digest] = (now + CACHE_S, principal)
        self._cache.move_to_end(digest)
        while len(self._cache) > _CACHE_SIZE or next(iter(self._cache.values()))[0] <= now:
            self._cache.popitem(last=False)


def _bearer(authorization: list[str]) -> str:
    if len(authorization) != 1:
        raise _rejected()
    scheme, _, secret = authorization[0].partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise _rejected()
    return secret.strip()


def _rejected() -> Unauthenticated:
    return Unauthenticated(
        "No valid API key. Send one as 'Authorization: Bearer …'; the server's first key lies in "
        "the file that it names when it starts."
    )
