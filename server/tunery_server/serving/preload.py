"""Loading adapters before a request has to wait for it."""

import asyncio
from collections.abc import Collection, Iterable
from typing import Protocol

from tunery_adapters.errors import AdapterError
from tunery_server.errors import AdapterDamaged, EngineRefused, EngineUnavailable, InvalidRequest
from tunery_server.records.rows import Adapter
from tunery_server.serving.residency import Residency
from tunery_server.serving.resolver import AdapterFolders, AdapterLookup
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

INTERVAL_S = 5.0
"""How long another gateway may not know what was pinned here."""


class Registry(Protocol):
    """The record of adapters, as far as keeping them in the engine needs it."""

    def pinned(self) -> tuple[Adapter, ...]:
        """What is ready and pinned, whoever owns it."""

    def ready(self, models: Collection[str]) -> tuple[Adapter, ...]:
        """What of these is ready, whoever owns it."""


class Preload:
    """Keeps in the engine what is pinned and, after a restart, what was in it before."""

    def __init__(
        self,
        *,
        registry: Registry,
        lookup: AdapterLookup,
        folders: AdapterFolders,
        residency: Residency,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._registry = registry
        self._lookup = lookup
        self._folders = folders
        self._residency = residency
        self._interval_s = interval_s

    async def load(self, adapter: Adapter) -> None:
        """Load one now; its first request does while the engine is away.

        Raises AdapterDamaged, and InvalidRequest when the engine refuses it.
        """
        try:
            folder = self._folders.path(adapter.adapter_id, adapter.version)
            await self._residency.ensure(adapter.model, folder, adapter.tenant_id)
        except EngineUnavailable:
            return
        except AdapterError as error:
            raise AdapterDamaged("The adapter's files are gone.") from error
        except EngineRefused as error:
            raise InvalidRequest(
                "The engine cannot serve this adapter.", code="adapter_refused", param="model"
            ) from error

    async def models(self, tenant_id: str, names: Collection[str]) -> None:
        """Load those of a tenant's models that are adapters and there. Raises as :meth:`load`."""
        for name in names:
            adapter = await asyncio.to_thread(self._lookup.usable, tenant_id, name)
            if adapter is not None:
                await self.load(adapter)

    async def run(self) -> None:
        """Look until cancelled: every now and then, and as soon as the engine is back."""
        while True:
            self._residency.upkeep_due.clear()
            try:
                await self.look()
            except Exception:
                log.exception("could not keep adapters in the engine")
            await self._until_due()

    async def look(self) -> None:
        """Load what is missing, pinned ones first, then the most recently used ones."""
        before = self._residency.missing()  # the monitor's next look forgets it
        pinned = await asyncio.to_thread(self._registry.pinned)
        self._residency.pin({adapter.model for adapter in pinned})
        recent = await asyncio.to_thread(self._registry.ready, before) if before else ()
        await self._load_all(pinned)
        await self._load_all(sorted(recent, key=lambda adapter: before.index(adapter.model)))
        await self._residency.trim()

    async def _load_all(self, adapters: Iterable[Adapter]) -> None:
        for adapter in adapters:
            try:
                await self.load(adapter)
            except (AdapterDamaged, InvalidRequest) as error:
                log.warning("adapter was not loaded", model=adapter.model, why=error.message)

    async def _until_due(self) -> None:
        try:
            async with asyncio.timeout(self._interval_s):
                await self._residency.upkeep_due.wait()
        except TimeoutError:
            return
