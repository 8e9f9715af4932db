"""Writes down what requests took, a second's worth at a time."""

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from tunery_server.errors import TryAgainLater
from tunery_server.records.usage_rows import HOUR_S, Amounts, UsageKey
from tunery_server.serving.caller import Caller
from tunery_server.serving.usage import Usage
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

FLUSH_S = 1.0
"""A gateway that is killed takes what it has not written with it: no more than this."""


class UsageSums(Protocol):
    """The record, as far as the ledger needs it."""

    def add(self, entries: list[tuple[UsageKey, Amounts]]) -> None:
        """Add to the sums, all of it or nothing."""


class Ledger:
    """Sums in memory, which :meth:`run` moves into the record."""

    def __init__(self, sums: UsageSums, *, clock: Callable[[], float]) -> None:
        self._sums = sums
        self._clock = clock
        self._waiting: dict[UsageKey, Amounts] = {}
        self._guard = threading.Lock()

    def add(self, caller: Caller, model: str, usage: Usage, *, background: bool) -> None:
        """Note one request. ``model`` is the resolved name, never a client's."""
        key = UsageKey(
            hour=int(self._clock() // HOUR_S) * HOUR_S,
            tenant_id=caller.tenant_id,
            key_id=caller.key_id,
            model=model,
            background=background,
        )
        amounts = Amounts(
            requests=1,
            input_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            output_tokens=usage.completion_tokens,
        )
        self._put(key, amounts)

    async def run(self) -> None:
        """Write until cancelled; a cancel writes what is left."""
        try:
            while True:
                await asyncio.sleep(FLUSH_S)
                await asyncio.to_thread(self.flush)
        finally:
            self.flush()

    def flush(self) -> None:
        """Move what is there into the record. Blocking; what it does not take is kept."""
        with self._guard:
            moved, self._waiting = self._waiting, {}
        try:
            self._sums.add(list(moved.items()))
        except (SQLAlchemyError, TryAgainLater) as error:
            log.error("usage is not written yet", error=type(error).__name__)
            for key, amounts in moved.items():
                self._put(key, amounts)

    def _put(self, key: UsageKey, amounts: Amounts) -> None:
        with self._guard:
            self._waiting[key] = self._waiting.get(key, Amounts()) + amounts
