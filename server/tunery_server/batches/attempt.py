"""One attempt at a batch: from a claim to the batch's end, or to the loss of the lease."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunery_server.batches.input_file import Line, check, lines
from tunery_server.batches.lease import Lease
from tunery_server.batches.parts import Part, PartStore
from tunery_server.batches.patience import Ask, Pause, persist
from tunery_server.batches.publisher import Publisher
from tunery_server.batches.results import answered, expired
from tunery_server.batches.turns import Turns
from tunery_server.ids import new_id
from tunery_server.records.batches import BatchRecords
from tunery_server.records.rows import Batch, BatchStatus
from tunery_server.telemetry import metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every attempt works with."""

    batches: BatchRecords
    input_path: Callable[[str], Path]
    """Where the bytes of a file lie."""
    parts: PartStore
    publisher: Publisher
    ask: Ask
    turns: Turns
    heavy: asyncio.Semaphore
    """Held while a thread goes through a whole file, so that few of the pool's threads do."""
    clock: Callable[[], float]
    pause: Pause
    lease_s: float
    look_s: float
    """How often an attempt renews its lease, counts, and looks whether it has to stop."""


class Attempt:
    """Takes one claimed batch through its states."""

    def __init__(self, batch: Batch, bench: Bench) -> None:
        self._bench = bench
        self._lease = Lease(batch, bench.batches, clock=bench.clock, lease_s=bench.lease_s)
        self._part: Part | None = None

    @property
    def _batch(self) -> Batch:
        return self._lease.batch

    async def run(self) -> None:
        """Raises LeaseLost when the batch is no longer ours."""
        try:
            while self._has_to_stop() or not await self._held(self._complete(), stoppable=True):
                if await self._held(self._cut_short()):
                    break
        finally:
            if self._part is not None:
                self._part.close()
        await asyncio.to_thread(self._bench.parts.drop, self._batch.id)

    async def _held(self, work: Coroutine[Any, Any, bool], *, stoppable: bool = False) -> bool:
        """Whether ``work`` ended the batch; False, too, when it was stopped.

        The lease is renewed meanwhile, with what is known of the progress.
        """
        working = asyncio.create_task(work)
        try:
            while not working.done():
                await asyncio.to_thread(lambda: self._lease.renew(**self._progress()))
                if stoppable and self._has_to_stop():
                    return False
                await asyncio.wait({working}, timeout=self._bench.look_s)
            return working.result()
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    def _has_to_stop(self) -> bool:
        late = self._bench.clock() >= self._batch.expires_at
        return self._is(BatchStatus.CANCELLING) or (late and self._is(BatchStatus.IN_PROGRESS))

    async def _complete(self) -> bool:
        """Validate, run every line, publish. False when the record refused a change of state."""
        if self._is(BatchStatus.VALIDATING):
            checked = await self._heavily(check, self._input(), self._batch.endpoint)
            if checked.faults:
                errors = [asdict(fault) for fault in checked.faults]
                return await self._end(BatchStatus.FAILED, errors=errors)
            found = {"total": checked.lines, "model": checked.model}
            if not await self._enter(BatchStatus.IN_PROGRESS, **found):
                return False
        await self._run_lines(await self._begun())
        if not self._is(BatchStatus.FINALIZING) and not await self._enter(BatchStatus.FINALIZING):
            return False
        return await self._end(BatchStatus.COMPLETED)

    async def _run_lines(self, part: Part) -> None:
        async with asyncio.TaskGroup() as running:
            todo = await asyncio.to_thread(self._without_result, part)
            while (line := await asyncio.to_thread(lambda: next(todo, None))) is not None:
                await self._bench.turns.take(self._batch.tenant_id)
                task = running.create_task(self._run_line(part, line))
                task.add_done_callback(lambda _: self._bench.turns.give_back())

    async def _run_line(self, part: Part, line: Line) -> None:
        batch, ask = self._batch, self._bench.ask
        with metrics.BATCH_LINES_RUNNING.track_inprogress():
            answer = await persist(
                lambda: ask(batch.tenant_id, batch.endpoint, line.body), self._bench.pause
            )
        result = answered(line.custom_id, new_id("req_"), answer)
        await asyncio.to_thread(part.append, result)
        metrics.BATCH_LINES.labels("completed" if result.good else "failed").inc()

    async def _cut_short(self) -> bool:
        """End a batch that was cancelled, or whose time is over, with the results it has.

        False when it is neither: it changed while its lines were being stopped.
        """
        part = await self._begun()
        if self._is(BatchStatus.IN_PROGRESS):
            await self._heavily(self._expire_rest, part)
            return await self._end(BatchStatus.EXPIRED)
        return self._is(BatchStatus.CANCELLING) and await self._end(BatchStatus.CANCELLED)

    def _expire_rest(self, part: Part) -> None:
        for line in self._without_result(part):
            part.append(expired(line.custom_id))
            metrics.BATCH_LINES.labels("expired").inc()

    def _without_result(self, part: Part) -> Iterator[Line]:
        return (line for line in lines(self._input()) if line.custom_id not in part.done)

    def _input(self) -> Path:
        return self._bench.input_path(self._batch.input_file)

    def _is(self, status: BatchStatus) -> bool:
        return self._batch.status is status

    async def _begun(self) -> Part:
        if self._part is None:
            await self._heavily(self._begin)
        assert self._part is not None  # noqa: S101 - for the type checker
        return self._part

    def _begin(self) -> None:
        self._part = self._bench.parts.begin(self._batch.id, self._batch.attempt)

    async def _enter(self, status: BatchStatus, **values: Any) -> bool:
        return await asyncio.to_thread(lambda: self._lease.enter(status, **values))

    async def _end(self, status: BatchStatus, **values: Any) -> bool:
        return bool(await self._heavily(lambda: self._publish(status, **values)))

    def _publish(self, status: BatchStatus, **values: Any) -> bool:
        """Publish what there is with the final state, or neither of them."""
        publisher = self._bench.publisher
        published = publisher.publish(self._batch, self._part)
        ended = False
        try:
            values |= {**published.columns, **self._progress()}
            ended = self._lease.end(status, published.files, **values)
        finally:
            if not ended:
                publisher.discard(published)
        return ended

    def _progress(self) -> dict[str, Any]:
        return {} if self._part is None else self._part.progress()

    async def _heavily(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run ``work`` in a thread to its end, even when nobody waits for it any more."""
        async with self._bench.heavy:
            working = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
            try:
                return await asyncio.shield(working)
            finally:
                await asyncio.wait({working})
