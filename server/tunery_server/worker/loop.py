"""Claim, run, repeat."""

import asyncio
import contextlib

from tunery_server.errors import QueueUnavailable
from tunery_server.queue.contract import Lease
from tunery_server.records.rows import Job, JobStatus
from tunery_server.telemetry.logging import get_logger
from tunery_server.worker import leftovers
from tunery_server.worker.attempt import Attempt, Bench
from tunery_server.worker.reconciler import Reconciler

log = get_logger(__name__)

_CLAIM_WAIT_S = 1.0
_BACK_OFF_S = 1.0


class Worker:
    """Runs one job at a time until it is told to stop."""

    def __init__(self, bench: Bench, reconciler: Reconciler) -> None:
        self._bench = bench
        self._reconciler = reconciler
        self._attempt: Attempt | None = None
        self._stopping = False

    async def run(self) -> None:
        """Work until :meth:`stop`; a job that runs then is left at a checkpoint."""
        reconciling = asyncio.create_task(self._reconcile())
        try:
            while not self._stopping:
                await self._work_once()
        finally:
            reconciling.cancel()

    def stop(self) -> None:
        """Claim no more, and end the running attempt at a checkpoint."""
        self._stopping = True
        if self._attempt is not None:
            self._attempt.stop()

    async def _work_once(self) -> None:
        try:
            lease = await asyncio.to_thread(self._bench.queue.claim, wait_s=_CLAIM_WAIT_S)
        except QueueUnavailable:
            await asyncio.sleep(_BACK_OFF_S)
            return
        if lease is None:
            return
        job = await asyncio.to_thread(self._take, lease)
        if job is not None:
            await self._run(job, lease)

    def _take(self, lease: Lease) -> Job | None:
        """Write the claim into the record, which may know that the job was cancelled."""
        known = self._bench.jobs.get_any(lease.job_id)
        attempt = known.attempt + 1 if known is not None else 1
        job = self._bench.jobs.change(
            lease.job_id,
            allowed={JobStatus.QUEUED},
            status=JobStatus.RUNNING,
            attempt=attempt,
            started_at=self._bench.clock(),
        )
        if job is None:
            with contextlib.suppress(QueueUnavailable):
                self._bench.queue.finish(lease)
        return job

    async def _run(self, job: Job, lease: Lease) -> None:
        log.info("job started", job_id=job.id, attempt=job.attempt)
        self._attempt = Attempt(job, lease, self._bench)
        if self._stopping:
            self._attempt.stop()
        await self._attempt.run()
        self._attempt = None
        log.info("job ended", job_id=job.id, attempt=job.attempt)

    async def _reconcile(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._reconciler.look)
                await asyncio.to_thread(leftovers.sweep, self._bench.folder, self._bench.jobs)
            except QueueUnavailable:
                log.warning("the job queue does not answer")
            except Exception:
                log.exception("reconciling failed; it is tried again")
            await asyncio.sleep(2 * self._bench.renew_s)
