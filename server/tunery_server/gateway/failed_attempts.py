"""How often one address may fail to authenticate."""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable

from tunery_server.errors import RateLimited

WINDOW_S = 60.0
_MAX_ADDRESSES = 10_000
_IPV6_NETWORK_BITS = 64
"""One subscriber's share of the address space (RFC 6177), so its addresses count as one."""


class FailedAttempts:
    """Counts failures by address in windows of :data:`WINDOW_S`, which the first failure opens.

    Only failures are counted and only failures are refused: a valid key works from any address,
    for one that many share would else lock all of them out.
    """

    def __init__(self, *, limit: int, timer: Callable[[], float]) -> None:
        self._limit = limit
        self._timer = timer
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def add(self, address: str) -> None:
        """Note a failure. Raises RateLimited when the address has had its share."""
        source, now = _source(address), self._timer()
        ends, count = self._windows.get(source, (0.0, 0))
        if now >= ends:
            ends, count = now + WINDOW_S, 0
        self._windows[source] = (ends, count + 1)
        self._windows.move_to_end(source)
        if len(self._windows) > _MAX_ADDRESSES:
            self._windows.popitem(last=False)
        if count >= self._limit:
            raise RateLimited(
                "Too many requests without a valid API key came from this address.",
                retry_after_s=math.ceil(ends - now),
            )


def _source(address: str) -> str:
    """What is counted as one: an IPv4 address, or a network of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if parsed.version == 6 and parsed.ipv4_mapped is None:  # noqa: PLR2004 - the protocol's number
        return str(ipaddress.ip_network((int(parsed), _IPV6_NETWORK_BITS), strict=False))
    return address
