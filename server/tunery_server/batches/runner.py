"""Claims batches and runs them, one attempt each."""

import asyncio
from collections import Counter

import structlog

from tunery_server.batches.attempt import Attempt, Bench
from tunery_server.batches.transitions import UNFINISHED
from tunery_server.errors import LeaseLost
from tunery_server.records.rows import Batch, BatchStatus
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

POLL_S = 0.5
MAX_PER_TENANT = 8
"""Batches of one tenant that one gateway runs side by side; its others wait, oldest first."""
RETRY_S = 30.0
"""When a batch that was ended by a fault of ours is tried again."""


class BatchRunner:
    """Runs until cancelled. Several may run on one record: a batch belongs to whoever leased it."""

    def __init__(self, bench: Bench, *, poll_s: float = POLL_S) -> None:
        self._bench = bench
        self._poll_s = poll_s
        self._running: dict[asyncio.Task[None], Batch] = {}

    async def run(self) -> None:
        """Claim what nobody holds, for ever. Cancelling it gives all batches back at once."""
        try:
            await asyncio.to_thread(self._sweep)
            while True:
                try:
                    await self._claim_all()
                except Exception:
                    log.exception("batches could not be claimed")
                await asyncio.sleep(self._poll_s)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def _sweep(self) -> None:
        """Remove results of batches that ended while nobody was there to do it."""
        leftovers = self._bench.parts.batch_ids()
        unfinished = self._bench.batches.ids(UNFINISHED)
        for batch_id in leftovers - unfinished:
            self._bench.parts.drop(batch_id)

    async def _claim_all(self) -> None:
        batches, clock = self._bench.batches, self._bench.clock
        for batch in await asyncio.to_thread(batches.unleased, UNFINISHED, now=clock()):
            if not self._has_room(batch):
                continue
            until = clock() + self._bench.lease_s
            claimed = await asyncio.to_thread(batches.claim, batch, leased_until=until)
            if claimed is not None:
                self._start(claimed)

    def _has_room(self, batch: Batch) -> bool:
        """Ending a batch takes no time; running it does."""
        held = Counter(running.tenant_id for running in self._running.values())
        late = self._bench.clock() >= batch.expires_at
        ending = late or batch.status is BatchStatus.CANCELLING
        return ending or held[batch.tenant_id] < MAX_PER_TENANT

    def _start(self, batch: Batch) -> None:
        task = asyncio.create_task(self._attempt(batch))
        self._running[task] = batch
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not task.cancelled() and (error := task.exception()):
            log.error("batch could not be put back; its lease will run out", exc_info=error)

    async def _attempt(self, batch: Batch) -> None:
        with structlog.contextvars.bound_contextvars(batch_id=batch.id, attempt=batch.attempt):
            try:
                await Attempt(batch, self._bench).run()
            except LeaseLost:
                log.info("batch is no longer ours")
            except asyncio.CancelledError:
                await self._put_back(batch, after_s=0)
                raise
            except Exception:
                log.exception("batch was interrupted by a fault of the server")
                await self._recover(batch)

    async def _recover(self, batch: Batch) -> None:
        """A full disk passes; what still fails when the batch's time is over does not."""
        now = self._bench.clock()
        if now < batch.expires_at:
            await self._put_back(batch, after_s=RETRY_S)
            return
        error = {
            "code": "server_error",
            "message": "The server made a mistake; its log has the details.",
            "param": None,
            "line": None,
        }
        await asyncio.to_thread(
            self._bench.batches.finish,
            batch.id,
            BatchStatus.FAILED,
            at=now,
            allowed=UNFINISHED,
            in_attempt=batch.attempt,
            errors=[error],
        )
        await asyncio.to_thread(self._bench.parts.drop, batch.id)

    async def _put_back(self, batch: Batch, *, after_s: float) -> None:
        await asyncio.to_thread(
            self._bench.batches.change,
            batch.id,
            allowed=UNFINISHED,
            in_attempt=batch.attempt,
            leased_until=self._bench.clock() + after_s,
        )
