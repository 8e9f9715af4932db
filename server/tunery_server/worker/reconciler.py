"""Makes Redis agree with the record, and takes jobs from workers that fell silent.

The record is right. A waiting job that Redis does not know is put in line. A running job whose
lease ran out has lost its worker: it goes back in line, or fails when that has happened too often.
One that was about to pause is paused. A running job of which Redis merely knows no lease is seen so
twice before, because a worker whose lease Redis forgot takes it up again at its next renewal; so it
is, too, after Redis was away for a time, when leases ran out that could not be renewed.
"""

from collections.abc import Callable

from tunery_adapters import fault
from tunery_adapters.fault import Point
from tunery_server.errors import QueueUnavailable
from tunery_server.ids import new_id
from tunery_server.jobs.line import Line, again, back_off_s
from tunery_server.jobs.transitions import RELEASE
from tunery_server.queue.contract import JobQueue
from tunery_server.records.job_history import JobHistory, Note
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import HELD, Job, JobStatus
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_LOST = "The worker was lost; the job goes on from its last checkpoint"
_LOST_PAUSING = "The worker was lost; the job is paused at its last checkpoint"


class Reconciler:
    """Run :meth:`look` at intervals longer than a worker's renewals. Blocking."""

    def __init__(
        self,
        *,
        jobs: JobRecords,
        history: JobHistory,
        queue: JobQueue,
        line: Line,
        max_attempts: int,
        clock: Callable[[], float],
    ) -> None:
        self._jobs = jobs
        self._history = history
        self._queue = queue
        self._line = line
        self._max_attempts = max_attempts
        self._clock = clock
        self._missing: set[tuple[str, int]] = set()
        self._calm = False

    def look(self) -> None:
        """Compare once, and mend. Raises QueueUnavailable."""
        try:
            self._look()
        except QueueUnavailable:
            self._calm = False
            raise
        self._calm = True

    def _look(self) -> None:
        silent = self._queue.sweep()
        self._line.tell_shares()
        for job_id in self._queue.unknown(self._jobs.startable_ids()):
            job = self._jobs.get_any(job_id)
            if job is not None and job.status is JobStatus.QUEUED:
                self._line.put(job)
        leased = self._queue.leased()
        missing = {
            (job.id, job.attempt): job
            for job in self._jobs.with_status(HELD)
            if job.id not in leased
        }
        lost = {key for key in missing if self._calm and key[0] in silent}
        for key in lost | (self._missing & missing.keys()):
            self._recover(missing.pop(key))
        self._missing = set(missing)

    def _recover(self, job: Job) -> None:
        fault.point(Point.RECONCILER_SWEPT)
        losses, now = job.losses + 1, self._clock()
        if losses >= self._max_attempts and job.status is JobStatus.RUNNING:
            self._give_up(job, losses)
            return
        released = self._jobs.move(
            job.id,
            RELEASE,
            in_attempt=job.attempt,
            notes={
                JobStatus.PAUSED: _noted(_LOST_PAUSING, now),
                JobStatus.QUEUED: _noted(_LOST, now),
            },
            losses=losses,
            waiting_since=again(job, now),
            not_before=now + back_off_s(losses),
            estimated_finish=None,
        )
        if released is None:
            return
        fault.point(Point.RECONCILER_REQUEUED)
        log.warning("worker lost", job_id=job.id, attempt=job.attempt)
        if released.status is JobStatus.QUEUED:
            self._line.put(released)

    def _give_up(self, job: Job, losses: int) -> None:
        message = f"The worker was lost {losses} times while it ran this job."
        error = {"code": "worker_crashed", "message": message, "param": None}
        now = self._clock()
        self._jobs.change(
            job.id,
            allowed={JobStatus.RUNNING},
            in_attempt=job.attempt,
            note=_noted(message, now, level="error"),
            status=JobStatus.FAILED,
            finished_at=now,
            losses=losses,
            estimated_finish=None,
            error=error,
        )


def _noted(message: str, now: float, level: str = "warn") -> Note:
    return Note(id=new_id("ftevent-"), created_at=now, message=message, level=level)
