"""From what a client asks for to a job that can run: checks, and what "auto" comes to."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tunery_adapters.spec import EvaluationSpec, LoraSpec
from tunery_server.errors import InvalidRequest, NotFound
from tunery_server.ids import new_id
from tunery_server.jobs.fit import Fit
from tunery_server.jobs.lineage import Lineage, lora_of
from tunery_server.jobs.request import (
    AUTO_BETA,
    AUTO_LEARNING_RATE_MULTIPLIER,
    MIN_EXAMPLES,
    JobRequest,
    auto_batch_size,
    auto_epochs,
)
from tunery_server.jobs.surveys import Surveys
from tunery_server.records.actor import current_actor
from tunery_server.records.files import FileRecords
from tunery_server.records.rows import File, Job, JobMethod, JobStatus


@dataclass(frozen=True, slots=True)
class Draft:
    """A job that was not written, and the files that it would read."""

    job: Job
    training: File
    validation: File | None


class Intake:
    """Refuses at once what would fail later. Blocking."""

    def __init__(
        self,
        *,
        files: FileRecords,
        lineage: Lineage,
        surveys: Surveys,
        fit: Fit,
        max_lora_rank: int,
        clock: Callable[[], float],
    ) -> None:
        self._files = files
        self._lineage = lineage
        self._surveys = surveys
        self._fit = fit
        self._max_lora_rank = max_lora_rank
        self._clock = clock

    def job(self, tenant_id: str, request: JobRequest) -> Job:
        """A new job, not yet written. Raises InvalidRequest or NotFound naming the field."""
        draft = self.draft(tenant_id, request)
        self._fit.check(draft.job, self._longest(draft.training, draft.validation))
        return draft.job

    def draft(self, tenant_id: str, request: JobRequest) -> Draft:
        """The same, whether it fits a machine or not."""
        parent = self._lineage.parent(tenant_id, request.model)
        lora = lora_of(request, parent)
        self._check_rank(lora)
        self._fit.check_targets(lora)
        training = self._dataset(tenant_id, request.training_file, "training_file")
        _check_method(request.method, training)
        validation = None
        if request.validation_file is not None:
            validation = self._dataset(tenant_id, request.validation_file, "validation_file")
            _check_alike(training, validation)
        else:
            _check_unvalidated(request.training)
        job = Job(
            id=new_id("ftjob-"),
            tenant_id=tenant_id,
            status=JobStatus.QUEUED,
            model=self._lineage.base_model,
            parent=parent.model if parent else None,
            training_file=request.training_file,
            validation_file=request.validation_file,
            suffix=request.suffix,
            seed=secrets.randbelow(2**31) if request.seed is None else request.seed,
            hyperparameters=_resolved(request, training.examples or 0),
            lora=lora.model_dump(mode="json"),
            training=request.training.model_dump(mode="json"),
            metadata=request.metadata,
            integrations=request.integrations,
            created_at=self._clock(),
            priority=request.priority,
            key_id=_key_id(),
        )
        memory_bytes = self._fit.memory_bytes(job, self._longest(training, validation))
        return Draft(replace(job, memory_bytes=memory_bytes), training, validation)

    def _longest(self, *files: File | None) -> int:
        return max(self._surveys.longest(file) for file in files if file is not None)

    def _check_rank(self, lora: LoraSpec) -> None:
        if lora.rank > self._max_lora_rank:
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


def _key_id() -> str | None:
    """Whose key asks."""
    actor = current_actor()
    return (actor.key_id or None) if actor is not None else None


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


def _check_method(method: JobMethod, training: File) -> None:
    pairs = training.data_format == "preference"
    if pairs != (method is JobMethod.DPO):
        rows = "preference pairs" if method is JobMethod.DPO else "rows without preferences"
        raise InvalidRequest(
            f"{method.value!r} trains on {rows}; the file has {training.data_format!r} rows.",
            param="method.type",
        )


def _check_alike(training: File, validation: File) -> None:
    if training.data_format != validation.data_format:
        raise InvalidRequest(
            f"The file has {validation.data_format!r} rows, the training file "
            f"{training.data_format!r} rows; both have to be of one format.",
            code="invalid_file",
            param="validation_file",
        )


def _check_unvalidated(training: EvaluationSpec) -> None:
    """Refuses what a validation file decides."""
    asked = {
        "eval_every": training.eval_every is not None,
        "early_stopping": training.early_stopping is not None,
        "keep": training.keep == "best",
    }
    for name in (name for name, is_asked in asked.items() if is_asked):
        raise InvalidRequest(f"{name} needs a validation_file.", param=f"training.{name}")


def _resolved(request: JobRequest, examples: int) -> dict[str, Any]:
    multiplier = request.learning_rate_multiplier
    resolved = {
        "n_epochs": request.n_epochs or auto_epochs(examples),
        "batch_size": request.batch_size or auto_batch_size(examples),
        "learning_rate_multiplier": multiplier or AUTO_LEARNING_RATE_MULTIPLIER,
    }
    if request.method is JobMethod.DPO:
        resolved["beta"] = request.beta or AUTO_BETA
    return resolved
