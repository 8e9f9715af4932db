"""Requests that are asked a second time, of another adapter, to see how it does."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from tunery_server.errors import TuneryError
from tunery_server.telemetry import metrics
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

MAX_RUNNING = 8
"""More are dropped: a shadow must never hold up, or cost, what somebody waits for."""


class Shadows:
    """Runs them beside the requests that they are copies of; nobody gets their answers."""

    def __init__(self, *, limit: int = MAX_RUNNING) -> None:
        self._limit = limit
        self._running: set[asyncio.Task[None]] = set()

    def start(self, asking: Coroutine[Any, Any, object]) -> None:
        """Ask in the background, or not at all."""
        if len(self._running) >= self._limit:
            asking.close()
            metrics.SHADOWS.labels("dropped").inc()
            return
        task = asyncio.create_task(self._run(asking))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Give up those that still run."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, asking: Coroutine[Any, Any, object]) -> None:
        try:
            await asking
            metrics.SHADOWS.labels("answered").inc()
        except TuneryError as error:
            metrics.SHADOWS.labels("failed").inc()
            log.info("a shadow was not answered", error=type(error).__name__)
