"""From what a client asks for to a job that can run: checks, and what "auto" comes to."""

import secrets
from collections.abc import Callable
from typing import Any

from tunery_server.errors import InvalidRequest, NotFound
from tunery_server.ids import new_id
from tunery_server.jobs.request import (
    AUTO_LEARNING_RATE_MULTIPLIER,
    MIN_EXAMPLES,
    JobRequest,
    auto_batch_size,
    auto_epochs,
)
from tunery_server.records.files import FileRecords
from tunery_server.records.rows import File, Job, JobStatus


class Intake:
    """Refuses at once what would fail later. Blocking."""

    def __init__(
        self,
        *,
        files: FileRecords,
        base_model: str,
        max_lora_rank: int,
        clock: Callable[[], float],
    ) -> None:
        self._files = files
        self._base_model = base_model
        self._max_lora_rank = max_lora_rank
        self._clock = clock

    def job(self, tenant_id: str, request: JobRequest) -> Job:
        """A new job, not yet written. Raises InvalidRequest or NotFound naming the field."""
        self._check_model(request)
        training = self._dataset(tenant_id, request.training_file, "training_file")
        if request.validation_file is not None:
            self._dataset(tenant_id, request.validation_file, "validation_file")
        return Job(
            id=new_id("ftjob-"),
            tenant_id=tenant_id,
            status=JobStatus.QUEUED,
            model=request.model,
            training_file=request.training_file,
            validation_file=request.validation_file,
            suffix=request.suffix,
            seed=secrets.randbelow(2**31) if request.seed is None else request.seed,
            hyperparameters=_resolved(request, training.examples or 0),
            lora=request.lora.model_dump(mode="json"),
            metadata=request.metadata,
            integrations=request.integrations,
            created_at=self._clock(),
            priority=request.priority,
        )

    def _check_model(self, request: JobRequest) -> None:
        if request.model != self._base_model:
            raise NotFound(
                f"The model {request.model[:200]!r} does not exist or cannot be fine-tuned. "
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


def warnings(job: Job) -> tuple[str, ...]:
    """What the client should know about a job that is run all the same."""
    said = []
    if job.validation_file == job.training_file:
        said.append(
            "The validation file is the training file: its loss says nothing about new examples"
        )
    if job.integrations:
        said.append(
            "Integrations are not contacted: metrics are in the job's events and its result file"
        )
    return tuple(said)


def _resolved(request: JobRequest, examples: int) -> dict[str, Any]:
    multiplier = request.learning_rate_multiplier
    return {
        "n_epochs": request.n_epochs or auto_epochs(examples),
        "batch_size": request.batch_size or auto_batch_size(examples),
        "learning_rate_multiplier": multiplier or AUTO_LEARNING_RATE_MULTIPLIER,
    }
