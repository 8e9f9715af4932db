"""Which adapters the engine holds, and loading those that it does not."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tunery_adapters.special_tokens import SpecialTokens
from tunery_server.engine.contract import Engine, EngineStatus
from tunery_server.errors import EngineUnavailable
from tunery_server.telemetry import metrics
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)


class Residency:
    """What one engine process knows. A new process knows nothing, so the table starts anew.

    Loads of the same adapter are one flight: whoever comes second waits for the first.
    """

    def __init__(self, engine: Engine, *, timer: Callable[[], float] = time.perf_counter) -> None:
        self._engine = engine
        self._timer = timer
        self._status: EngineStatus | None = None
        self._spellings: frozenset[str] | None = None
        self._special_tokens: SpecialTokens | None = None
        self._loaded: set[str] = set()
        self._flights: dict[str, asyncio.Task[None]] = {}
        self._uses: Counter[str] = Counter()
        self._leaving: set[str] = set()
        self._unloads: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """True while the engine answers."""
        return self._status is not None

    @property
    def boot_id(self) -> str | None:
        """Of the engine process that answers; None while none does."""
        return None if self._status is None else self._status.boot_id

    @property
    def special_tokens(self) -> SpecialTokens:
        """The base model's. They outlive an engine process; EngineUnavailable before the first."""
        if self._special_tokens is None:
            raise EngineUnavailable("The engine is starting. Try again shortly.")
        return self._special_tokens

    def state(self, name: str) -> str:
        """``loaded``, ``loading`` or ``unloaded``."""
        if name in self._loaded:
            return "loaded"
        return "loading" if name in self._flights else "unloaded"

    def observe(self, status: EngineStatus | None) -> None:
        """Take in what the engine last said of itself; None when it did not answer."""
        restarted = status is not None and (
            self._status is None or self._status.boot_id != status.boot_id
        )
        self._status = status
        if status is None:
            self._loaded.clear()
        else:
            self._loaded = set(status.adapters)
            self._learn(status.special_tokens)
        if restarted:
            metrics.ENGINE_STARTS.inc()
            log.info("engine is ready", adapters=len(self._loaded))
        metrics.ENGINE_READY.set(status is not None)
        metrics.ADAPTERS_LOADED.set(len(self._loaded))

    async def ensure(self, name: str, folder: Path) -> None:
        """Return once the engine answers to ``name``.

        Raises EngineUnavailable, or EngineRefused when it cannot use the files.
        """
        if name in self._loaded:
            return
        if not self.ready:
            raise EngineUnavailable("The engine is starting. Try again shortly.")
        flight = self._flights.get(name)
        if flight is None:
            flight = asyncio.create_task(self._load(name, folder))
            self._flights[name] = flight
            flight.add_done_callback(lambda _: self._flights.pop(name, None))
        await asyncio.shield(flight)

    @contextmanager
    def using(self, name: str) -> Iterator[None]:
        """Keep an adapter in the engine, from before it is loaded to the end of the answer."""
        self._uses[name] += 1
        try:
            yield
        finally:
            self._uses[name] -= 1
            if not self._uses[name]:
                self._unused(name)

    def in_use(self, name: str) -> bool:
        """Whether a request names the adapter."""
        return name in self._uses

    async def forget(self, name: str) -> None:
        """Unload an adapter, freeing its slots: at once, or when the last request has ended.

        Raises EngineUnavailable when it does so at once.
        """
        if self.in_use(name):
            self._leaving.add(name)
            return
        self._loaded.discard(name)
        await self._engine.unload(name)

    def _unused(self, name: str) -> None:
        del self._uses[name]
        if name in self._leaving:
            self._leaving.discard(name)
            unload = asyncio.create_task(self._unload(name))
            self._unloads.add(unload)
            unload.add_done_callback(self._unloads.discard)

    async def _unload(self, name: str) -> None:
        with suppress(EngineUnavailable):  # one that comes back knows no adapter
            await self.forget(name)

    def _learn(self, spellings: frozenset[str]) -> None:
        if spellings != self._spellings:
            self._spellings = spellings
            self._special_tokens = SpecialTokens(spellings)

    async def _load(self, name: str, folder: Path) -> None:
        started = self._timer()
        await self._engine.load(name, folder)
        metrics.ADAPTER_LOAD_DURATION.observe(self._timer() - started)
        self._loaded.add(name)
