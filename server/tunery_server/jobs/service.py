"""A client's wishes on fine-tuning jobs: create, look up, pause, resume, cancel."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tunery_adapters import fault
from tunery_adapters.fault import Point
from tunery_server.errors import InvalidRequest, NotFound, QueueUnavailable
from tunery_server.ids import new_id
from tunery_server.jobs.intake import Intake, warnings
from tunery_server.jobs.line import Line
from tunery_server.jobs.request import JobRequest
from tunery_server.jobs.transitions import FINAL, PAUSE, RESUME, before
from tunery_server.queue.contract import JobQueue
from tunery_server.records.idempotency import Sending, Submission
from tunery_server.records.job_history import JobHistory, Note
from tunery_server.records.jobs import NO_FILTER, JobRecords
from tunery_server.records.rows import Job, JobCheckpoint, JobEvent, JobStatus, Page
from tunery_server.records.tenants import TenantPolicies

_PAUSING = "The job is asked to pause; its trainer is writing a checkpoint"


class JobService:
    """Fine-tuning jobs of one tenant at a time. Blocking."""

    def __init__(
        self,
        *,
        jobs: JobRecords,
        history: JobHistory,
        intake: Intake,
        queue: JobQueue,
        policies: TenantPolicies,
        clock: Callable[[], float],
    ) -> None:
        self._jobs = jobs
        self._history = history
        self._intake = intake
        self._queue = queue
        self._policies = policies
        self._line = Line(queue=queue, policies=policies, clock=clock)
        self._clock = clock

    def create(self, tenant_id: str, request: JobRequest, sending: Sending | None = None) -> Job:
        """Check the request, write the job, then put it in line.

        A repeat of a request (``sending``) gets the job that the first one made. Raises
        InvalidRequest or NotFound naming the field, QuotaExceeded when too many jobs wait, and
        QueueUnavailable before anything is written. A queue that fails after that is caught up
        with by the reconciler.
        """
        submission = (sending or Sending()).of(
            "fine_tuning.jobs", _content(request), tenant_id=tenant_id, now=self._clock()
        )
        return self._jobs.made_by(submission) or self._create(tenant_id, request, submission)

    def _create(self, tenant_id: str, request: JobRequest, submission: Submission | None) -> Job:
        job = self._intake.job(tenant_id, request)
        self._queue.ping()
        policy = self._policies.of(tenant_id)
        fault.point(Point.CREATE_BEFORE_COMMIT)
        standing = self._jobs.add(job, submission, policy.max_waiting, self._beginning(job))
        fault.point(Point.CREATE_AFTER_COMMIT)
        if standing != job.id:
            return self.get(tenant_id, standing)
        with contextlib.suppress(QueueUnavailable):
            self._line.put(job)
        fault.point(Point.QUEUE_AFTER_ENQUEUE)
        return job

    def get(self, tenant_id: str, job_id: str) -> Job:
        """The job. Raises NotFound."""
        job = self._jobs.get(tenant_id, job_id)
        if job is None:
            raise NotFound(f"No fine-tuning job with id {job_id!r}.", param="fine_tuning_job_id")
        return job

    def list(
        self,
        tenant_id: str,
        *,
        metadata: Mapping[str, str] | None = NO_FILTER,
        after: str | None,
        limit: int,
    ) -> Page[Job]:
        """Newest first; those that have all of ``metadata``, or none at all when that is None.

        Raises InvalidRequest when ``after`` names no job.
        """
        if any("\0" in text for pair in (metadata or {}).items() for text in pair):
            return Page((), has_more=False)  # no job has it, and not every database can be asked
        return self._jobs.list(tenant_id, metadata=metadata, after=after, limit=limit)

    def cancel(self, tenant_id: str, job_id: str) -> Job:
        """Cancel a job that has not ended. A second cancel returns the cancelled job again.

        A running trainer is stopped by its worker, which sees the state change at its next look.
        Raises InvalidRequest when the job has already succeeded or failed.
        """
        job, now = self.get(tenant_id, job_id), self._clock()
        cancelled = self._jobs.change(
            job.id,
            allowed=before(JobStatus.CANCELLED),
            note=self._noted("The job was cancelled"),
            status=JobStatus.CANCELLED,
            finished_at=now,
            estimated_finish=None,
        )
        if cancelled is None:
            return self._unmoved(tenant_id, job_id, "job_not_cancellable", JobStatus.CANCELLED)
        fault.point(Point.CANCEL_WRITTEN)
        with contextlib.suppress(QueueUnavailable):
            self._queue.remove(job.id)
        return cancelled

    def pause(self, tenant_id: str, job_id: str) -> Job:
        """Pause a job: one that waits at once, one that runs when its trainer left a checkpoint.

        A job that is paused, or about to be, is returned as it is. Raises InvalidRequest when it
        has ended.
        """
        job = self.get(tenant_id, job_id)
        notes = {
            JobStatus.PAUSED: self._noted("The job is paused"),
            JobStatus.PAUSING: self._noted(_PAUSING),
        }
        moved = self._jobs.move(job.id, PAUSE, notes=notes, estimated_finish=None)
        if moved is None:
            return self._unmoved(tenant_id, job_id, "job_not_pausable")
        fault.point(Point.PAUSE_WRITTEN)
        if moved.status is JobStatus.PAUSED:
            with contextlib.suppress(QueueUnavailable):
                self._queue.remove(job.id)
        return moved

    def resume(self, tenant_id: str, job_id: str) -> Job:
        """Put a paused job back in line, at the place of its creation.

        A pause that did not happen yet is taken back. A job that waits or runs is returned as it
        is. Raises InvalidRequest when it has ended.
        """
        job = self.get(tenant_id, job_id)
        again: dict[str, Any] = {}
        if job.status is JobStatus.PAUSED:
            again["waiting_since"] = self._clock()
        notes = dict.fromkeys(RESUME.values(), self._noted("The job is resumed"))
        moved = self._jobs.move(job.id, RESUME, notes=notes, **again)
        if moved is None:
            return self._unmoved(tenant_id, job_id, "job_not_resumable")
        if moved.status is JobStatus.QUEUED:
            with contextlib.suppress(QueueUnavailable):
                self._line.put(moved)
        return moved

    def events(
        self, tenant_id: str, job_id: str, *, after: str | None, limit: int
    ) -> Page[JobEvent]:
        """What happened, newest first."""
        job = self.get(tenant_id, job_id)
        return self._history.events(job.id, after=after, limit=limit)

    def sequence(self, tenant_id: str, job_id: str, event_id: str | None) -> int:
        """How many events of a job come up to this one; 0 without one.

        Raises NotFound for the job, and InvalidRequest naming an id that is no event of it.
        """
        job = self.get(tenant_id, job_id)
        if event_id is None:
            return 0
        sequence = self._history.sequence(job.id, event_id)
        if sequence is None:
            raise InvalidRequest(
                f"Last-Event-ID: {event_id!r} is not an event of this job.", param="Last-Event-ID"
            )
        return sequence

    def checkpoints(
        self, tenant_id: str, job_id: str, *, after: str | None, limit: int
    ) -> Page[JobCheckpoint]:
        """Checkpoints that are served, newest first."""
        job = self.get(tenant_id, job_id)
        return self._history.checkpoints(job.id, after=after, limit=limit)

    def queue_positions(self, *jobs: Job) -> dict[str, int]:
        """Places of those that wait among their tenant's waiting jobs, 1 for its next one.

        Empty without a queue. Other tenants' jobs do not count: tenants take turns.
        """
        try:
            waiting = [job.id for job in jobs if job.status is JobStatus.QUEUED]
            return self._queue.positions(waiting) if waiting else {}
        except QueueUnavailable:
            return {}

    def count_by_status(self) -> dict[str, int]:
        """How many jobs of all tenants are in each state."""
        return self._jobs.count_by_status()

    def _unmoved(
        self, tenant_id: str, job_id: str, code: str, wanted: JobStatus | None = None
    ) -> Job:
        """The job, which is as it was wanted already; InvalidRequest when it has ended so."""
        job = self.get(tenant_id, job_id)
        if job.status in FINAL and job.status is not wanted:
            raise InvalidRequest(
                f"The job has ended: it is {job.status}.", code=code, param="fine_tuning_job_id"
            )
        return job

    def _beginning(self, job: Job) -> Sequence[Note]:
        """What a job's history begins with."""
        said = (
            f"Created fine-tuning job: {job.id}",
            "Files are valid, the job is waiting for a worker",
        )
        warned = (self._noted(warning, level="warn") for warning in warnings(job))
        return [*map(self._noted, said), *warned]

    def _noted(self, message: str, *, level: str = "info") -> Note:
        return Note(id=new_id("ftevent-"), created_at=self._clock(), message=message, level=level)


def _content(request: JobRequest) -> dict[str, Any]:
    return {
        **asdict(request),
        "lora": request.lora.model_dump(mode="json"),
        "training": request.training.model_dump(mode="json"),
    }
