"""Makes Redis agree with the record, and takes jobs from workers that fell silent.

The record is right. A waiting job that Redis does not know is put in line; a running job without a
lease, seen so twice, has lost its worker: it goes back in line, or fails when that has happened too
often. One that was about to pause is paused. Seen twice, because a worker whose lease Redis forgot
takes it up again at its next renewal.
"""

from collections.abc import Callable

from tunery_server.ids import new_id
from tunery_server.jobs.transitions import RELEASE
from tunery_server.queue.contract import JobQueue
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import HELD, Job, JobStatus
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)


class Reconciler:
    """Run :meth:`look` at intervals longer than a worker's renewals. Blocking."""

    def __init__(
        self,
        *,
        jobs: JobRecords,
        history: JobHistory,
        queue: JobQueue,
        max_attempts: int,
        clock: Callable[[], float],
    ) -> None:
        self._jobs = jobs
        self._history = history
        self._queue = queue
        self._max_attempts = max_attempts
        self._clock = clock
        self._missing: set[tuple[str, int]] = set()

    def look(self) -> None:
        """Compare once, and mend. Raises QueueUnavailable."""
        leased, waiting = self._queue.leased(), set(self._queue.waiting())
        for job in self._jobs.with_status({JobStatus.QUEUED}):
            if job.id not in leased and job.id not in waiting:
                self._queue.enqueue(job.id, created_at=job.created_at)
        missing = {
            (job.id, job.attempt): job
            for job in self._jobs.with_status(HELD)
            if job.id not in leased
        }
        for key in self._missing & missing.keys():
            self._recover(missing.pop(key))
        self._missing = set(missing)

    def _recover(self, job: Job) -> None:
        losses = job.losses + 1
        if losses >= self._max_attempts and job.status is JobStatus.RUNNING:
            self._give_up(job, losses)
            return
        released = self._jobs.move(
            job.id, RELEASE, in_attempt=job.attempt, losses=losses, estimated_finish=None
        )
        if released is None:
            return
        log.warning("worker lost", job_id=job.id, attempt=job.attempt)
        if released.status is JobStatus.PAUSED:
            self._note(job, "The worker was lost; the job is paused at its last checkpoint", "warn")
            return
        self._note(job, "The worker was lost; the job goes on from its last checkpoint", "warn")
        self._queue.enqueue(job.id, created_at=job.created_at)

    def _give_up(self, job: Job, losses: int) -> None:
        message = f"The worker was lost {losses} times while it ran this job."
        error = {"code": "worker_crashed", "message": message, "param": None}
        now = self._clock()
        failed = self._jobs.change(
            job.id,
            allowed={JobStatus.RUNNING},
            in_attempt=job.attempt,
            status=JobStatus.FAILED,
            finished_at=now,
            losses=losses,
            estimated_finish=None,
            error=error,
        )
        if failed is not None:
            self._note(job, message, "error")

    def _note(self, job: Job, message: str, level: str) -> None:
        self._history.add_event(
            job.id,
            event_id=new_id("ftevent-"),
            created_at=self._clock(),
            message=message,
            level=level,
        )
