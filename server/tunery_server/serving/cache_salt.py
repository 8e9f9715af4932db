"""A salt per tenant for the engine's prefix cache.

Two tenants that send the same prompt must not be able to see it in the time to the first token.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

_BYTES = 32


def read_or_make_secret(path: Path) -> bytes:
    """The server's secret for salts, made on the first start, 0600.

    It appears whole, and the first of several gateways that start at once wins.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_BYTES))
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(temporary)
    temporary.unlink()
    return path.read_bytes()


class CacheSalt:
    """HMAC-SHA256 of the tenant's id, in hexadecimal, which vLLM takes as it is."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __call__(self, tenant_id: str) -> str:
        return hmac.new(self._secret, tenant_id.encode(), hashlib.sha256).hexdigest()
