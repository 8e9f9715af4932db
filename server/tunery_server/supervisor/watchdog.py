"""Finds an engine that runs and does nothing any more, and lets a busy one alone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from tunery_server.errors import EngineRefused, EngineUnavailable
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

INTERVAL_S = 2.0


class Process(Protocol):
    """A process that starts again when it has ended."""

    @property
    def pid(self) -> int | None:
        """Of the one that runs; None while none does."""

    def kill(self) -> None:
        """End it at once."""


class Watchdog:
    """Kills a process whose pulse was felt once, and is not felt any more.

    ``pulse`` returns False when it was waited for in vain, for longer than a step may take. It
    raises EngineUnavailable while nobody listens: the process is starting, or has ended.
    """

    def __init__(
        self,
        process: Process,
        pulse: Callable[[], Awaitable[bool]],
        *,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._process = process
        self._pulse = pulse
        self._interval_s = interval_s
        self._alive: int | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("could not look after the engine")
            await asyncio.sleep(self._interval_s)

    async def look(self) -> None:
        """Feel the pulse once, and act."""
        pid = self._process.pid
        try:
            felt = await self._pulse()
        except (EngineRefused, EngineUnavailable):
            return
        if pid is None or pid != self._process.pid:
            return
        if felt:
            self._alive = pid
        elif self._alive == pid:
            log.error("the engine hangs, and is started anew", pid=pid)
            self._alive = None
            self._process.kill()
