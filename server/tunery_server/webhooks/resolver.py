"""Names to addresses, once for each connection, which then goes to those very addresses."""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from tunery_server.webhooks.destinations import Destinations


class CheckedResolver(AbstractResolver):
    """Gives out the addresses of a name only if webhooks may go to every one of them.

    So a name that was harmless when it was registered, and leads inside later, is refused.
    """

    def __init__(self, resolver: AbstractResolver, destinations: Destinations) -> None:
        self._resolver = resolver
        self._destinations = destinations

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises DestinationRefused, and OSError for a name that there is not."""
        results = await self._resolver.resolve(host, port, family)
        for result in results:
            self._destinations.check_address(result["host"], port)
        return results

    async def close(self) -> None:
        """Close the resolver behind."""
        await self._resolver.close()
