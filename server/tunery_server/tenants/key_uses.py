"""When keys were used last, to the minute."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from tunery_server.errors import TryAgainLater
from tunery_server.records.keys import USE_S
from tunery_server.records.rows import ApiKey
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_FLUSH_S = 2.0


class UseRecord(Protocol):
    """The record of keys, as far as their use goes."""

    def used(self, uses: Mapping[str, float]) -> None:
        """Write when keys were used last, Unix seconds by id, for each at most once a minute."""


class KeyUses:
    """Notes uses in memory, which :meth:`run` moves into the record: no request waits for it."""

    def __init__(self, record: UseRecord, *, clock: Callable[[], float]) -> None:
        self._record = record
        self._clock = clock
        self._waiting: dict[str, float] = {}
        self._guard = threading.Lock()

    def note(self, key: ApiKey) -> None:
        """A key was looked up for a request. Nothing is to be written of one used a moment ago."""
        now = self._clock()
        if key.last_used_at is None or now >= key.last_used_at + USE_S:
            with self._guard:
                self._waiting[key.id] = now

    async def run(self) -> None:
        """Write until cancelled; a cancel writes what is left."""
        try:
            while True:
                await asyncio.sleep(_FLUSH_S)
                await asyncio.to_thread(self.flush)
        finally:
            self.flush()

    def flush(self) -> None:
        """Move what is there into the record. Blocking; what it does not take is dropped."""
        with self._guard:
            moved, self._waiting = self._waiting, {}
        try:
            if moved:
                self._record.used(moved)
        except (SQLAlchemyError, TryAgainLater) as error:
            log.warning("uses of keys are not written", error=type(error).__name__)
