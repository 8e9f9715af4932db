"""A client's wishes on fine-tuning jobs: create, look up, cancel."""

import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from tunery_server.errors import InvalidRequest, NotFound, QueueUnavailable
from tunery_server.ids import new_id
from tunery_server.jobs.request import (
    AUTO_LEARNING_RATE_MULTIPLIER,
    MIN_EXAMPLES,
    JobRequest,
    auto_batch_size,
    auto_epochs,
)
from tunery_server.jobs.transitions import before
from tunery_server.queue.contract import JobQueue
from tunery_server.records.files import FileRecords
from tunery_server.records.idempotency import Sending, Submission
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import File, Job, JobCheckpoint, JobEvent, JobStatus, Page

T = TypeVar("T")


class JobService:
    """Fine-tuning jobs of one tenant at a time. Blocking."""

    def __init__(
        self,
        *,
        jobs: JobRecords,
        history: JobHistory,
        files: FileRecords,
        queue: JobQueue,
        base_model: str,
        max_lora_rank: int,
        clock: Callable[[], float],
    ) -> None:
        self._jobs = jobs
        self._history = history
        self._files = files
        self._queue = queue
        self._base_model = base_model
        self._max_lora_rank = max_lora_rank
        self._clock = clock

    def create(self, tenant_id: str, request: JobRequest, sending: Sending | None = None) -> Job:
        """Check the request, write the job, then put it in line.

        A repeat of a request (``sending``) gets the job that the first one made. Raises
        InvalidRequest or NotFound naming the field, and QueueUnavailable before anything is
        written. A queue that fails after that is caught up with by the reconciler.
        """
        submission = (sending or Sending()).of(
            "fine_tuning.jobs", _content(request), tenant_id=tenant_id, now=self._clock()
        )
        return self._jobs.made_by(submission) or self._create(tenant_id, request, submission)

    def _create(self, tenant_id: str, request: JobRequest, submission: Submission | None) -> Job:
        self._check_model(request)
        training = self._dataset(tenant_id, request.training_file, "training_file")
        if request.validation_file is not None:
            self._dataset(tenant_id, request.validation_file, "validation_file")
        self._queue.ping()
        job = self._job(tenant_id, request, training.examples or 0)
        standing = self._jobs.add(job, submission)
        if standing != job.id:
            return self.get(tenant_id, standing)
        self._note(job.id, f"Created fine-tuning job: {job.id}")
        self._note(job.id, "Files are valid, the job is waiting for a worker")
        with contextlib.suppress(QueueUnavailable):
            self._queue.enqueue(job.id, created_at=job.created_at)
        return job

    def get(self, tenant_id: str, job_id: str) -> Job:
        """The job. Raises NotFound."""
        job = self._jobs.get(tenant_id, job_id)
        if job is None:
            raise NotFound(f"No fine-tuning job with id {job_id!r}.", param="fine_tuning_job_id")
        return job

    def list(
        self, tenant_id: str, *, metadata: Mapping[str, str], after: str | None, limit: int
    ) -> Page[Job]:
        """Newest first. Raises InvalidRequest when ``after`` names no job."""
        page = self._jobs.list(tenant_id, metadata=metadata, after=after, limit=limit)
        return _known(page)

    def cancel(self, tenant_id: str, job_id: str) -> Job:
        """Cancel a job that has not ended. A second cancel returns the cancelled job again.

        A running trainer is stopped by its worker, which sees the state change at its next look.
        Raises InvalidRequest when the job has already succeeded or failed.
        """
        job = self.get(tenant_id, job_id)
        cancelled = self._jobs.change(
            job.id,
            allowed=before(JobStatus.CANCELLED),
            status=JobStatus.CANCELLED,
            finished_at=self._clock(),
            estimated_finish=None,
        )
        if cancelled is None:
            return self._already_ended(self.get(tenant_id, job_id))
        self._note(job.id, "The job was cancelled")
        with contextlib.suppress(QueueUnavailable):
            self._queue.remove(job.id)
        return cancelled

    def events(
        self, tenant_id: str, job_id: str, *, after: str | None, limit: int
    ) -> Page[JobEvent]:
        """What happened, newest first."""
        job = self.get(tenant_id, job_id)
        return _known(self._history.events(job.id, after=after, limit=limit))

    def checkpoints(
        self, tenant_id: str, job_id: str, *, after: str | None, limit: int
    ) -> Page[JobCheckpoint]:
        """Checkpoints that are served, newest first."""
        job = self.get(tenant_id, job_id)
        return _known(self._history.checkpoints(job.id, after=after, limit=limit))

    def queue_positions(self) -> dict[str, int]:
        """Place in line of every waiting job, 1 for the next one; empty without a queue."""
        try:
            waiting = self._queue.waiting()
        except QueueUnavailable:
            return {}
        return {job_id: place for place, job_id in enumerate(waiting, start=1)}

    def count_by_status(self) -> dict[str, int]:
        """How many jobs of all tenants are in each state."""
        return self._jobs.count_by_status()

    def _check_model(self, request: JobRequest) -> None:
        if request.model != self._base_model:
            raise NotFound(
                f"The model {request.model!r} does not exist or cannot be fine-tuned. "
                f"This server fine-tunes {self._base_model!r}.",
                code="model_not_found",
                param="model",
            )
        if request.lora.rank > self._max_lora_rank:
            raise InvalidRequest(
                f"The engine serves adapters up to rank {self._max_lora_rank}.",
                code="integer_above_max_value",
                param="lora.rank",
            )

    def _dataset(self, tenant_id: str, file_id: str, param: str) -> File:
        file = self._files.get(tenant_id, file_id)
        if file is None:
            raise NotFound(f"No file with id {file_id!r}.", param=param)
        if file.examples is None:
            raise InvalidRequest(
                f"The file has purpose {file.purpose!r}; it must be uploaded with 'fine-tune'.",
                code="invalid_file",
                param=param,
            )
        if param == "training_file" and file.examples < MIN_EXAMPLES:
            raise InvalidRequest(
                f"The file has {file.examples} examples; at least {MIN_EXAMPLES} are needed.",
                code="invalid_file",
                param=param,
            )
        return file

    def _job(self, tenant_id: str, request: JobRequest, examples: int) -> Job:
        return Job(
            id=new_id("ftjob-"),
            tenant_id=tenant_id,
            status=JobStatus.QUEUED,
            model=request.model,
            training_file=request.training_file,
            validation_file=request.validation_file,
            suffix=request.suffix,
            seed=secrets.randbelow(2**31) if request.seed is None else request.seed,
            hyperparameters=_resolved(request, examples),
            lora=request.lora.model_dump(mode="json"),
            metadata=request.metadata,
            created_at=self._clock(),
        )

    def _already_ended(self, job: Job) -> Job:
        if job.status is JobStatus.CANCELLED:
            return job
        raise InvalidRequest(
            f"The job has already {job.status}.",
            code="job_not_cancellable",
            param="fine_tuning_job_id",
        )

    def _note(self, job_id: str, message: str) -> None:
        self._history.add_event(
            job_id, event_id=new_id("ftevent-"), created_at=self._clock(), message=message
        )


def _resolved(request: JobRequest, examples: int) -> dict[str, Any]:
    multiplier = request.learning_rate_multiplier
    return {
        "n_epochs": request.n_epochs or auto_epochs(examples),
        "batch_size": request.batch_size or auto_batch_size(examples),
        "learning_rate_multiplier": multiplier or AUTO_LEARNING_RATE_MULTIPLIER,
    }


def _content(request: JobRequest) -> dict[str, Any]:
    return {**asdict(request), "lora": request.lora.model_dump(mode="json")}


def _known(page: Page[T] | None) -> Page[T]:
    if page is None:
        raise InvalidRequest("'after' is not the id of an item in this list.", param="after")
    return page
