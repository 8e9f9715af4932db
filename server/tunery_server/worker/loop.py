"""Claim, run, repeat."""

import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial

from tunery_adapters import fault
from tunery_adapters.fault import Point
from tunery_server.errors import QueueUnavailable, RecordUnavailable
from tunery_server.jobs.line import need, waited_s
from tunery_server.queue.contract import Lease, Need, Yielding
from tunery_server.records.rows import Job
from tunery_server.telemetry.logging import get_logger
from tunery_server.worker import leftovers
from tunery_server.worker.attempt import Attempt, Bench
from tunery_server.worker.capacity import Capacity
from tunery_server.worker.reconciler import Reconciler

log = get_logger(__name__)

_CLAIM_WAIT_S = 1.0
_BACK_OFF_S = 1.0
_LOOKS_PER_RENEWAL = 0.8
"""Less than one: a lease that Redis forgot is renewed between two looks."""


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    attempt: Attempt
    task: "asyncio.Task[None]"
    need: Need
    yielding: Yielding | None
    """What it is when it may be asked to make room; None when it may not."""


class Worker:
    """Runs as many jobs as it has places until it is told to stop."""

    def __init__(
        self, bench: Bench, reconciler: Reconciler, capacity: Capacity, *, patience_s: float
    ) -> None:
        self._bench = bench
        self._reconciler = reconciler
        self._capacity = capacity
        self._patience_s = patience_s
        self._running: list[_Running] = []
        self._leaving: list[_Running] = []
        """Asked to make room; their places are another job's already."""
        self._stopping = False

    async def run(self) -> None:
        """Work until :meth:`stop`; jobs that run then are left at a checkpoint."""
        reconciling = asyncio.create_task(self._reconcile())
        try:
            while not self._stopping:
                await self._work_once()
            await self._settle(None)
        finally:
            reconciling.cancel()

    def stop(self) -> None:
        """Claim no more, and end the running attempts at a checkpoint; called again, at once."""
        again, self._stopping = self._stopping, True
        for running in self._running + self._leaving:
            if again:
                running.attempt.hurry()
            else:
                running.attempt.stop()

    async def _work_once(self) -> None:
        try:
            started = await self._fill() or await self._replace()
        except (QueueUnavailable, RecordUnavailable):
            await asyncio.sleep(_BACK_OFF_S)
            return
        if not started and len(self._running) >= self._capacity.slots:
            await self._settle(_CLAIM_WAIT_S)

    async def _fill(self) -> bool:
        """Start the next job if there is a free place, waiting for one a while."""
        if len(self._running) >= self._capacity.slots:
            return False
        offer = await asyncio.to_thread(self._capacity.offer, self._needs())
        claim = partial(self._bench.queue.claim, wait_s=_CLAIM_WAIT_S, offer=offer)
        return await self._start(await asyncio.to_thread(claim))

    async def _replace(self) -> bool:
        """Start a job of a higher priority in the place of one that may be asked to make room."""
        least = min(filter(_may_yield, self._running), key=_priority, default=None)
        if least is None or self._stopping:
            return False
        offer = await asyncio.to_thread(self._capacity.offer, self._needs(), least.need)
        claim = partial(self._bench.queue.claim, wait_s=0, offer=offer, instead_of=least.yielding)
        lease = await asyncio.to_thread(claim)
        if not await self._start(lease, instead_of=least):
            return False
        await least.attempt.give_way()
        return True

    async def _start(self, lease: Lease | None, instead_of: _Running | None = None) -> bool:
        job = await asyncio.to_thread(self._take, lease) if lease is not None else None
        if lease is None or job is None:
            return False
        log.info("job started", job_id=job.id, attempt=job.attempt)
        after = instead_of.task if instead_of is not None else None
        attempt = Attempt(job, lease, self._bench, after=after)
        if self._stopping:
            attempt.stop()
        may_yield = await asyncio.to_thread(self._may_be_asked, job)
        task = asyncio.create_task(_told(attempt, job))
        running = _Running(attempt, task, need(job), may_yield)
        task.add_done_callback(lambda _: self._forget(running))
        self._running.append(running)
        if instead_of in self._running:
            self._running.remove(instead_of)
            self._leaving.append(instead_of)
        return True

    def _take(self, lease: Lease) -> Job | None:
        """Write the claim into the record, which may know that the job must not be started."""
        fault.point(Point.JOB_CLAIMED)
        known = self._bench.jobs.get_any(lease.job_id)
        job = known and self._bench.jobs.start(known, now=self._bench.clock())
        if job is None:
            with contextlib.suppress(QueueUnavailable):
                self._bench.queue.finish(lease)
        return job

    def _may_be_asked(self, job: Job) -> Yielding | None:
        """One that has waited for too long once is not made to wait again."""
        allowed = self._bench.policies.of(job.tenant_id).preemptible
        patient = waited_s(job) < self._patience_s
        return Yielding(job.id, job.priority) if allowed and patient else None

    def _needs(self) -> list[Need]:
        return [running.need for running in self._running]

    def _forget(self, ended: _Running) -> None:
        for among in (self._running, self._leaving):
            if ended in among:
                among.remove(ended)

    async def _settle(self, timeout_s: float | None) -> None:
        """Wait until one attempt has ended; without a time, until all have."""
        tasks = [running.task for running in self._running + self._leaving]
        if tasks:
            how = asyncio.ALL_COMPLETED if timeout_s is None else asyncio.FIRST_COMPLETED
            await asyncio.wait(tasks, timeout=timeout_s, return_when=how)

    def _sweep(self) -> None:
        bench = self._bench
        leftovers.sweep(bench.folder, bench.jobs, bench.publisher)
        bench.publisher.sweep()

    async def _reconcile(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._reconciler.look)
                await asyncio.to_thread(self._sweep)
            except QueueUnavailable:
                log.warning("the job queue does not answer")
            except Exception:
                log.exception("reconciling failed; it is tried again")
            await asyncio.sleep(self._bench.renew_s / _LOOKS_PER_RENEWAL)


async def _told(attempt: Attempt, job: Job) -> None:
    try:
        await attempt.run()
    except Exception:
        log.exception("an attempt ended for a fault of the server", job_id=job.id)
    log.info("job ended", job_id=job.id, attempt=job.attempt)


def _may_yield(running: _Running) -> bool:
    return running.yielding is not None


def _priority(running: _Running) -> int:
    assert running.yielding is not None  # noqa: S101 - only those that may yield are asked
    return running.yielding.priority
