"""Removes the files of deleted adapters, once nothing can be using them any more.

A file that disappears under a running request would end the engine. So an adapter's files stay
until it has been deleted for longer than a request may run, nobody uses it in this gateway, and the
engine has forgotten it. Each step may be repeated, so that a crash between two does no harm.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from tunery_adapters.errors import AdapterNotFoundError
from tunery_adapters.store import AdapterStore
from tunery_server.errors import EngineUnavailable
from tunery_server.files.sweeper import INTERVAL_S, MARGIN_S
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.rows import Adapter
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)


class Residency(Protocol):
    """What of serving a removal needs."""

    def in_use(self, name: str) -> bool:
        """Whether a request of this gateway names the adapter."""

    def forget(self, name: str) -> Awaitable[None]:
        """Unload the adapter. Raises EngineUnavailable."""


class Removal:
    """Run it in a gateway. Several may run at once."""

    def __init__(
        self,
        *,
        store: AdapterStore,
        adapters: AdapterRecords,
        residency: Residency,
        longest_request_s: float,
        clock: Callable[[], float],
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._store = store
        self._adapters = adapters
        self._residency = residency
        self._margin_s = max(MARGIN_S, 2 * longest_request_s)
        self._clock = clock
        self._interval_s = interval_s

    async def run(self) -> None:
        """Look until cancelled; what fails is tried again in the next round."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("could not remove adapters")
            await asyncio.sleep(self._interval_s)

    async def look(self) -> None:
        """Remove what is due: files of deleted adapters, and what crashes left behind."""
        before = self._clock() - self._margin_s
        for adapter in await asyncio.to_thread(self._adapters.leaving, before):
            if not self._residency.in_use(adapter.model):
                await self._remove(adapter)
        await asyncio.to_thread(self._sweep, before)

    async def _remove(self, adapter: Adapter) -> None:
        try:
            await self._residency.forget(adapter.model)
        except EngineUnavailable:
            return  # it may be busy, and have the adapter still
        await asyncio.to_thread(self._delete, adapter.adapter_id, adapter.version)
        await asyncio.to_thread(self._adapters.removed, adapter.model, self._clock())
        log.info("adapter removed", adapter_id=adapter.adapter_id)

    def _sweep(self, before: float) -> None:
        self._store.sweep()
        for adapter_id, version in list(self._store.published(before)):
            if not self._adapters.is_known(adapter_id):
                self._delete(adapter_id, version)

    def _delete(self, adapter_id: str, version: int) -> None:
        try:
            self._store.delete(adapter_id, version)
        except AdapterNotFoundError:
            return  # an earlier look removed it, or another gateway
