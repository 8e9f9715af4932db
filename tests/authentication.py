"""An authenticator whose tenants have no limits, unless a test says so."""

from collections.abc import Callable

from tests.rows import NOW
from tunery_server.gateway.auth import Authenticator, KeyLookup
from tunery_server.limits.contract import UNLIMITED, Limits


def authenticator_of(
    keys: KeyLookup, *, timer: Callable[[], float], now: float = NOW, limits: Limits = UNLIMITED
) -> Authenticator:
    return Authenticator(keys, limits_of=lambda _: limits, clock=lambda: now, timer=timer)
