"""One POST to a stranger's server: where it may go, briefly, and believing nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

import aiohttp
from aiohttp.abc import AbstractResolver

from tunery_server.errors import DestinationRefused
from tunery_server.webhooks.destinations import Destinations
from tunery_server.webhooks.resolver import CheckedResolver
from tunery_server.webhooks.signing import Message

TIMEOUT_S = 10.0
"""From looking the name up to the status of the answer."""


class Outcome(StrEnum):
    """How a POST ended."""

    DELIVERED = "delivered"
    GONE = "gone"
    REJECTED = "rejected"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` is None when none came."""

    outcome: Outcome
    status: int | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it."""
        return self.outcome is Outcome.DELIVERED


class Poster:
    """Sends messages to endpoints. Follows no redirect, keeps no cookie, uses no proxy."""

    def __init__(
        self,
        destinations: Destinations,
        *,
        resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._destinations = destinations
        self._resolver = resolver
        self._timeout_s = timeout_s

    async def post(self, url: str, message: Message) -> Answer:
        """Send once. Whatever goes wrong is an answer; only the status of a reply is read."""
        try:
            return _answer(await self._status(url, message))
        except DestinationRefused:
            return Answer(Outcome.REFUSED)
        except TimeoutError:
            return Answer(Outcome.TIMEOUT)
        except aiohttp.ClientSSLError:
            return Answer(Outcome.UNTRUSTED)
        except (aiohttp.ClientError, OSError):
            return Answer(Outcome.UNREACHABLE)

    async def _status(self, url: str, message: Message) -> int:
        """The body is left unread: the connection ends with the status."""
        destination = self._destinations.check(url)
        async with (
            asyncio.timeout(self._timeout_s),
            self._session() as session,
            session.post(
                destination.url,
                data=message.body,
                headers=message.headers,
                allow_redirects=False,
            ) as response,
        ):
            return response.status

    def _session(self) -> aiohttp.ClientSession:
        """For one connection: a name is resolved for each, and none is used twice."""
        resolver = CheckedResolver(self._resolver(), self._destinations)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=resolver, use_dns_cache=False, force_close=True
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )


def _answer(status: int) -> Answer:
    if HTTPStatus(200) <= status < HTTPStatus(300):
        return Answer(Outcome.DELIVERED, status)
    gone = status == HTTPStatus.GONE
    return Answer(Outcome.GONE if gone else Outcome.REJECTED, status)
