"""Which adapters the engine holds, loading those that it does not, and making room for them."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from tunery_adapters.errors import AdapterError
from tunery_adapters.integrity import verified
from tunery_adapters.special_tokens import SpecialTokens
from tunery_server.engine.contract import Engine, EngineStatus
from tunery_server.errors import (
    AdapterDamaged,
    EngineRefused,
    EngineTooSlow,
    EngineUnavailable,
    TuneryError,
)
from tunery_server.serving.failed_loads import FailedLoads
from tunery_server.serving.ram_tier import RamTier
from tunery_server.telemetry import metrics
from tunery_server.telemetry.busiest import Busiest
from tunery_server.telemetry.logging import get_logger
from tunery_server.telemetry.tally import AdapterTally

log = get_logger(__name__)

PLACES = 64
UNCOUNTED = Busiest(0, AdapterTally, labels=("adapter",))
_REASONS: dict[type[TuneryError], str] = {
    AdapterDamaged: "damaged",
    EngineRefused: "refused",
    EngineUnavailable: "unavailable",
    EngineTooSlow: "unavailable",
}
"""Why a load fails, for metrics."""


class Residency:
    """What one engine process holds. ``places`` are those of its main memory.

    Loads of the same adapter are one flight: whoever comes second waits for the first. Every load
    is preceded by a ``verify`` of the files, which raises AdapterError; blocking.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        places: int = PLACES,
        verify: Callable[[Path], object] = verified,
        tallies: Busiest[AdapterTally] = UNCOUNTED,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._engine = engine
        self._verify = verify
        self._tallies = tallies
        self._timer = timer
        self._status: EngineStatus | None = None
        self._last_boot_id: str | None = None
        self._spellings: frozenset[str] | None = None
        self._special_tokens: SpecialTokens | None = None
        self._tier = RamTier(places)
        self._failed = FailedLoads()
        self._flights: dict[str, asyncio.Task[None]] = {}
        self._uses: Counter[str] = Counter()
        self._inside: Counter[str] = Counter()
        self._leaving: set[str] = set()
        self._unloads: set[asyncio.Task[None]] = set()
        self._changing: Counter[str] = Counter()
        self._changed: set[str] = set()
        self.upkeep_due = asyncio.Event()
        """Set when adapters are missing after a restart, or there are too many."""

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
        if name in self._tier:
            return "loaded"
        return "loading" if name in self._flights else "unloaded"

    def looking(self) -> None:
        """The engine is being asked: of what is loaded or unloaded from here on it may not know."""
        self._changed = set(self._changing)

    def observe(self, status: EngineStatus | None) -> None:
        """Take in what the engine last said of itself; None when it did not answer."""
        returned = status is not None and self.boot_id != status.boot_id
        self._status = status
        if status is None:
            self._tier.lost()
        else:
            restarted = status.boot_id != self._last_boot_id
            unsure = frozenset() if restarted else self._tier.loaded & self._changed
            sure = status.adapters if restarted else status.adapters - self._changed
            self._tier.observe(sure | unsure, self._timer(), restarted=restarted)
            self._learn(status.special_tokens)
            if restarted:
                self._last_boot_id = status.boot_id
                self._failed.clear()
            if restarted or self._tier.surplus():
                self.upkeep_due.set()
        if returned:
            metrics.ENGINE_STARTS.inc()
            log.info("engine is ready", adapters=len(self._tier))
        metrics.ENGINE_READY.set(status is not None)
        metrics.ADAPTERS_LOADED.set(len(self._tier))

    async def ensure(self, name: str, folder: Path, owner: str = "") -> None:
        """Return once the engine answers to ``name``, an adapter of the tenant ``owner``.

        Raises EngineUnavailable, AdapterDamaged, or EngineRefused when it cannot use the files.
        """
        if name in self._tier:
            self._tier.own(name, owner)
            return
        if not self.ready:
            raise EngineUnavailable("The engine is starting. Try again shortly.")
        flight = self._flights.get(name)
        if flight is None:
            self._failed.check(name, self._timer())
            flight = asyncio.create_task(self._load(name, folder, owner))
            self._flights[name] = flight
            flight.add_done_callback(lambda _: self._flights.pop(name, None))
        await asyncio.shield(flight)

    @contextmanager
    def using(self, name: str) -> Iterator[None]:
        """Keep an adapter from being unloaded for good, from before a request waits to its end."""
        self._uses[name] += 1
        self._tier.use(name, self._timer())
        try:
            yield
        finally:
            self._uses[name] -= 1
            self._tier.use(name, self._timer())
            if not self._uses[name]:
                self._unused(name)

    @asynccontextmanager
    async def resident(self, name: str, folder: Path, owner: str) -> AsyncIterator[None]:
        """As :meth:`ensure`, and it does not give way to another one for the time of an answer."""
        self._inside[name] += 1
        try:
            await self.ensure(name, folder, owner)
            yield
        finally:
            self._inside -= Counter([name])

    def in_use(self, name: str) -> bool:
        """Whether a request names the adapter."""
        return name in self._uses

    def missed(self, name: str) -> None:
        """The engine does not know it: somebody else has unloaded it."""
        self._tier.remove(name)

    def pin(self, names: Collection[str]) -> None:
        """What stays while anything else can go: these and no others."""
        self._tier.pinned = frozenset(names)

    def missing(self) -> tuple[str, ...]:
        """What the engine held before it was restarted, most recently used first."""
        return self._tier.missing()

    async def trim(self) -> None:
        """Unload what is there beyond the engine's places."""
        await self._make_room(coming=0, owner="")

    async def forget(self, name: str) -> None:
        """Unload an adapter, freeing its slots: at once, or when the last request has ended.

        Raises EngineUnavailable when it does so at once.
        """
        if self.in_use(name):
            self._leaving.add(name)
            return
        await self._send_off(name, "deleted")

    def tiers(self) -> dict[str, frozenset[str]]:
        """Names of the adapters in the engine's memory, and of those that requests are in it for.

        The latter have one of its slots.
        """
        return {"memory": self._tier.loaded, "slot": self._tier.loaded.intersection(self._inside)}

    async def _send_off(self, name: str, reason: str) -> None:
        """One that the engine will not let go is there again at the next look at the engine."""
        if name in self._tier:
            self._tally(name).unloads[reason,] += 1
        self._tier.remove(name)
        with self._change(name):
            try:
                await self._engine.unload(name)
            except EngineRefused as error:
                log.warning("the engine keeps an adapter", model=name, why=error.message)
            else:
                log.info("adapter left the engine", model=name, reason=reason)

    def _tally(self, name: str) -> AdapterTally:
        return self._tallies.of((name,), traffic=0)

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

    async def _load(self, name: str, folder: Path, owner: str) -> None:
        started = self._timer()
        try:
            await self._check(name, folder)
            await self._make_room(coming=len(self._flights), owner=owner)
            with self._change(name):
                await self._engine.load(name, folder)
                self._tier.add(name, owner, self._timer())
        except (AdapterDamaged, EngineRefused, EngineUnavailable) as error:
            self._tally(name).failed_loads[_REASONS[type(error)],] += 1
            if not isinstance(error, EngineUnavailable):
                self._failed.add(name, error, self._timer())
            raise
        self._tally(name).loads.observe(self._timer() - started)

    @contextmanager
    def _change(self, name: str) -> Iterator[None]:
        """What the engine said of the adapter before the end of this is not believed."""
        self._changing[name] += 1
        self._changed.add(name)
        try:
            yield
        finally:
            self._changing -= Counter([name])

    async def _check(self, name: str, folder: Path) -> None:
        try:
            await asyncio.to_thread(self._verify, folder)
        except AdapterError as error:
            log.error("adapter is damaged", model=name, what=error.message)
            raise AdapterDamaged(
                "The adapter's files are damaged. Delete it, and train or import it anew."
            ) from error

    async def _make_room(self, *, coming: int, owner: str) -> None:
        while self._tier.surplus(coming):
            leaver = self._tier.leaver(self._inside, owner, self._timer())
            if leaver is None:
                return
            await self._send_off(leaver, "evicted")
