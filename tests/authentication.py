"""An authenticator whose tenants have no limits, unless a test says so."""

from collections.abc import Callable, Mapping

from tests.rows import NOW
from tunery_server.gateway.auth import Authenticator, KeyLookup
from tunery_server.limits.contract import UNLIMITED, Limits
from tunery_server.tenants.key_uses import KeyUses


class Unwritten:
    """Takes uses of keys and keeps none."""

    def used(self, uses: Mapping[str, float]) -> None:
        pass


def authenticator_of(
    keys: KeyLookup, *, timer: Callable[[], float], now: float = NOW, limits: Limits = UNLIMITED
) -> Authenticator:
    return Authenticator(
        keys,
        uses=KeyUses(Unwritten(), clock=lambda: now),
        limits_of=lambda _: limits,
        clock=lambda: now,
        timer=timer,
    )
