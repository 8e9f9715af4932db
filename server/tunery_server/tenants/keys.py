"""Making keys.

Keys are 256 random bits, so a plain SHA-256 is enough to store them by.
"""

import hashlib
import secrets

from tunery_server.ids import new_id
from tunery_server.limits.contract import UNLIMITED, Limits
from tunery_server.records.rows import ApiKey

KEY_PREFIX = "sk-tunery-"


def digest_of(secret: str) -> str:
    """How a key is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_key(
    tenant_id: str,
    name: str,
    scopes: tuple[str, ...],
    now: float,
    *,
    expires_at: float | None = None,
    limits: Limits = UNLIMITED,
    service_account_id: str | None = None,
) -> tuple[str, ApiKey]:
    """A fresh key: the secret, which is shown once, and what is stored of it."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        id=new_id("key-"),
        tenant_id=tenant_id,
        name=name,
        digest=digest_of(secret),
        scopes=scopes,
        created_at=now,
        expires_at=expires_at,
        limits=limits,
        service_account_id=service_account_id,
    )
    return secret, key


def successor(old: ApiKey, now: float) -> tuple[str, ApiKey]:
    """A fresh key that may do what the old one may, for as long."""
    return new_key(
        old.tenant_id,
        old.name,
        old.scopes,
        now,
        expires_at=old.expires_at,
        limits=old.limits,
        service_account_id=old.service_account_id,
    )
