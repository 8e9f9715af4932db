"""Adapters that a tenant wants to stay in the engine."""

import asyncio
from typing import Protocol

from tunery_server.records.rows import Adapter
from tunery_server.serving.catalogue import Catalogue
from tunery_server.serving.preload import Preload
from tunery_server.serving.residency import Residency


class PinRegistry(Protocol):
    """The record of pins."""

    def set(self, adapter: Adapter, *, pinned: bool) -> Adapter:
        """Pin an adapter, or let it go. Raises QuotaExceeded."""


class Pins:
    """Pins of one tenant at a time."""

    def __init__(
        self, *, catalogue: Catalogue, pins: PinRegistry, preload: Preload, residency: Residency
    ) -> None:
        self._catalogue = catalogue
        self._pins = pins
        self._preload = preload
        self._residency = residency

    async def pin(self, tenant_id: str, model: str) -> Adapter:
        """Load an adapter, and keep it; while the engine is away, from when it is back.

        Raises NotFound, QuotaExceeded, AdapterDamaged, and InvalidRequest when the engine refuses
        it, which leaves nothing pinned.
        """
        adapter = await asyncio.to_thread(self._catalogue.adapter, tenant_id, model)
        await self._preload.load(adapter)
        return await self._set(adapter, pinned=True)

    async def unpin(self, tenant_id: str, model: str) -> Adapter:
        """Let it give way to others again. Raises NotFound."""
        adapter = await asyncio.to_thread(self._catalogue.adapter, tenant_id, model)
        return await self._set(adapter, pinned=False)

    async def _set(self, adapter: Adapter, *, pinned: bool) -> Adapter:
        changed = await asyncio.to_thread(lambda: self._pins.set(adapter, pinned=pinned))
        self._residency.upkeep_due.set()
        return changed
