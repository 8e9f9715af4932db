"""A salt per tenant for the engine's prefix cache.

Two tenants that send the same prompt must not be able to see it in the time to the first token.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

_BYTES = 32


def read_or_make_secret(path: Path) -> bytes:
    """The server's secret for salts, made on the first start, 0600."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret := secrets.token_bytes(_BYTES))
    return secret


class CacheSalt:
    """HMAC-SHA256 of the tenant's id, in hexadecimal, which vLLM takes as it is."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __call__(self, tenant_id: str) -> str:
        return hmac.new(self._secret, tenant_id.encode(), hashlib.sha256).hexdigest()
