"""Who may run the next line: tenants in turn, and of each tenant its batches in turn."""

import asyncio
from collections import OrderedDict, deque


class Turns:
    """A bounded number of lines at once.

    A batch asks for one turn at a time; so those of a tenant that wait in order of asking come
    round in turn. Tenants do by rotation: one with many batches gets no more than one with few.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def take(self, tenant_id: str) -> None:
        """Return when it is the tenant's turn; :meth:`give_back` ends it."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant_id, deque()).append(turn)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was granted, and nobody is there to take it
                self.give_back()
            raise

    def give_back(self) -> None:
        """Let the next one begin."""
        self._free += 1
        self._grant()

    def _grant(self) -> None:
        while self._free and self._waiting:
            tenant_id, line = self._waiting.popitem(last=False)
            turn = line.popleft()
            if line:
                self._waiting[tenant_id] = line
            if not turn.cancelled():
                self._free -= 1
                turn.set_result(None)
