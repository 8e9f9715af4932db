"""From the Authorization header to a principal.

Keys are 256 random bits, so a plain SHA-256 is enough to store them by; they are looked up by
digest, and nothing but the digest is compared, stored or cached.
"""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tunery_server.errors import PermissionDenied, Unauthenticated
from tunery_server.ids import new_id
from tunery_server.records.rows import ApiKey

KEY_PREFIX = "sk-tunery-"
CACHE_S = 5.0
"""A revoked key stops working within this time."""
_CACHE_SIZE = 10_000

INFERENCE, FILES, JOBS, ADAPTERS, ADMIN = "inference", "files", "jobs", "adapters", "admin"
TENANT_SCOPES = (INFERENCE, FILES, JOBS, ADAPTERS)
ALL_SCOPES = (*TENANT_SCOPES, ADMIN)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Every object that it makes or sees belongs to ``tenant_id``."""

    key_id: str
    tenant_id: str
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Raises PermissionDenied unless the key carries the scope."""
        if scope not in self.scopes:
            raise PermissionDenied(f"This key lacks the scope {scope!r}.")


class KeyLookup(Protocol):
    """The record of keys, as far as authentication needs it."""

    def by_digest(self, digest: str) -> ApiKey | None:
        """The key with this digest, revoked or not."""


def digest_of(secret: str) -> str:
    """How a key is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_key(tenant_id: str, name: str, scopes: tuple[str, ...], now: float) -> tuple[str, ApiKey]:
    """A fresh key: the secret, which is shown once, and what is stored of it."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        id=new_id("key-"),
        tenant_id=tenant_id,
        name=name,
        digest=digest_of(secret),
        scopes=scopes,
        created_at=now,
    )
    return secret, key


class Authenticator:
    """Checks keys, remembering the good ones for :data:`CACHE_S` seconds."""

    def __init__(self, keys: KeyLookup, *, timer: Callable[[], float]) -> None:
        self._keys = keys
        self._timer = timer
        self._cache: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    async def principal(self, authorization: list[str]) -> Principal:
        """The principal behind the Authorization headers. Raises Unauthenticated."""
        digest = digest_of(_bearer(authorization))
        cached = self._cache.get(digest)
        if cached is not None and self._timer() < cached[0]:
            return cached[1]
        key = await asyncio.to_thread(self._keys.by_digest, digest)
        if key is None or key.revoked_at is not None:
            self._cache.pop(digest, None)
            raise _rejected()
        principal = Principal(key.id, key.tenant_id, frozenset(key.scopes))
        self._remember(digest, principal)
        return principal

    def _remember(self, digest: str, principal: Principal) -> None:
        self._cache[digest] = (self._timer() + CACHE_S, principal)
        self._cache.move_to_end(digest)
        if len(self._cache) > _CACHE_SIZE:
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
