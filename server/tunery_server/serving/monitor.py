"""Watches the engine: whether it answers, whether it is a new process, what it holds."""

import asyncio

from tunery_server.engine.contract import Engine, EngineStatus
from tunery_server.errors import TuneryError
from tunery_server.serving.residency import Residency

INTERVAL_S = 0.5


class EngineMonitor:
    """Asks the engine for its status at a steady pace and tells :class:`Residency`."""

    def __init__(
        self, engine: Engine, residency: Residency, *, interval_s: float = INTERVAL_S
    ) -> None:
        self._engine = engine
        self._residency = residency
        self._interval_s = interval_s

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self._residency.observe(await self._look())
            await asyncio.sleep(self._interval_s)

    async def _look(self) -> EngineStatus | None:
        self._residency.looking()
        try:
            return await self._engine.status()
        except TuneryError:
            return None
