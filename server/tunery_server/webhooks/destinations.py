"""Where webhooks may go: nowhere, unless the operator listed it.

A URL must name a listed host with a listed scheme and port. The address behind a name must be a
public one, or be listed itself. The first is checked when an endpoint is registered and at every
send, the second with every connection (``resolver.py``).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from tunery_server.errors import ConfigError, DestinationRefused

MAX_URL = 2048
_PORTS = {"https": 443, "http": 80}
_HIGHEST_PORT = 65535
_SHORTEST_PREFIX = 8
"""A wider network in the list would be a mistake."""

_PORT = r"(?::(?P<port>[1-9][0-9]{0,4}))?"
_ENTRY = re.compile(rf"(?:(?P<scheme>https?)://)?(?P<host>\[[0-9a-f:./]+\]|[a-z0-9./-]+){_PORT}")
_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9.-]+){_PORT}"
    r"(?P<path>/[a-z0-9_.~!$&'()*+,;=:@%/-]*)?(?P<query>\?[a-z0-9_.~!$&'()*+,;=:@%/?-]*)?",
    re.ASCII | re.IGNORECASE,
)
_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""A host name. Where its last label starts with a digit, it is some spelling of an address."""
_LONGEST_NAME = 253

_PUBLIC_V6 = ip_network("2000::/3")
_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments; one cloud keeps its metadata here
        "192.88.99.0/24",  # relays to 6to4
        "168.63.129.16/32",  # Azure's host, seen from inside
        "2001::/23",  # protocol assignments, Teredo among them
        "2002::/16",  # 6to4: holds an IPv4 address
        "3fff::/20",  # documentation
    )
)
"""What ``ipaddress`` of Python 3.11 calls global and no receiver has (IANA's registries of
special-purpose addresses; Azure's documentation)."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Destination:
    """A checked URL in its one plain spelling; ``host`` is a lower-case name or an address."""

    scheme: str
    host: str | Address
    port: int
    path: str

    @property
    def url(self) -> str:
        """As it is connected to."""
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """One entry of the operator's list: a host by name, or addresses."""

    scheme: str
    host: str | Network
    port: int

    def covers(self, destination: Destination) -> bool:
        """Whether a URL names this host, with this scheme and port."""
        if (self.scheme, self.port) != (destination.scheme, destination.port):
            return False
        if isinstance(self.host, str) or isinstance(destination.host, str):
            return self.host == destination.host
        return destination.host in self.host

    def holds(self, address: Address, port: int) -> bool:
        """Whether the address was listed as such."""
        return not isinstance(self.host, str) and self.port == port and address in self.host


class Destinations:
    """The operator's list. Empty: webhooks are off."""

    def __init__(self, allowed: tuple[Allowed, ...]) -> None:
        self._allowed = allowed

    @classmethod
    def of(cls, entries: Iterable[str]) -> "Destinations":
        """From ``[http://]host[:port]`` each. Raises ConfigError."""
        return cls(tuple(_allowed(entry) for entry in entries))

    @property
    def off(self) -> bool:
        """Whether nothing is listed."""
        return not self._allowed

    def check(self, url: str) -> Destination:
        """What the URL names, if it is listed. Resolves nothing. Raises DestinationRefused."""
        destination = _destination(url)
        if not any(entry.covers(destination) for entry in self._allowed):
            raise _refused("The server sends no webhooks to that scheme, host and port.")
        return destination

    def check_address(self, text: str, port: int) -> None:
        """Whether a listed name may stand for that very address. Raises DestinationRefused."""
        address = ip_address(text)
        listed = any(entry.holds(address, port) for entry in self._allowed)
        if _mapped(address) or not (listed or _public(address)):
            raise _refused("That host has an address which the server sends no webhooks to.")


def _destination(url: str) -> Destination:
    match = _URL.fullmatch(url) if len(url) <= MAX_URL else None
    if match is None:
        raise _refused("url: must be an http or https URL in ASCII, without user and fragment.")
    scheme = match["scheme"].lower()
    port = int(match["port"] or _PORTS[scheme])
    host = _host(match["host"].lower())
    if host is None or port > _HIGHEST_PORT:
        raise _refused("url: its host must be a name, or an address in its usual spelling.")
    return Destination(scheme, host, port, (match["path"] or "/") + (match["query"] or ""))


def _host(text: str) -> str | Address | None:
    if _NAME.fullmatch(text) and len(text) <= _LONGEST_NAME:
        return text
    try:
        address = IPv6Address(text[1:-1]) if text.startswith("[") else IPv4Address(text)
    except ValueError:
        return None
    return None if _mapped(address) else address


def _allowed(entry: str) -> Allowed:
    match = _ENTRY.fullmatch(entry.strip().lower())
    if match is None:
        raise _unreadable(entry)
    scheme = match["scheme"] or "https"
    port = int(match["port"] or _PORTS[scheme])
    if port > _HIGHEST_PORT:
        raise _unreadable(entry)
    return Allowed(scheme, _host_or_network(match["host"], entry), port)


def _host_or_network(text: str, entry: str) -> str | Network:
    if _NAME.fullmatch(text):
        return text
    try:
        network = IPv6Network(text[1:-1]) if text.startswith("[") else IPv4Network(text)
    except ValueError:
        raise _unreadable(entry) from None
    if network.prefixlen < _SHORTEST_PREFIX:
        raise ConfigError(f"webhook_hosts: {entry!r} covers too many addresses.")
    return network


def _public(address: Address) -> bool:
    if address.version == _PUBLIC_V6.version and address not in _PUBLIC_V6:
        return False
    special = address.is_multicast or any(address in network for network in _NOT_PUBLIC)
    return address.is_global and not special


def _mapped(address: Address) -> bool:
    """An IPv4 address in IPv6's clothes passes rules that are written for the other."""
    return isinstance(address, IPv6Address) and address.ipv4_mapped is not None


def _refused(message: str) -> DestinationRefused:
    return DestinationRefused(message, param="url")


def _unreadable(entry: str) -> ConfigError:
    return ConfigError(
        f"webhook_hosts: cannot read {entry!r}. An entry is a host name, an address or a network, "
        "such as hooks.example.com, http://10.0.0.7:8080 or [fd00::/8]."
    )
