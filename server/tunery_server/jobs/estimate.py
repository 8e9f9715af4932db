"""What a job would come to, and what its rows look like, before anything is queued."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from tunery_adapters.base_model import BaseModel
from tunery_adapters.spec import LoraSpec
from tunery_adapters.survey import ShownRow, Survey
from tunery_server.errors import InvalidRequest, RequestError, TryAgainLater
from tunery_server.jobs import speed
from tunery_server.jobs.fit import Fit
from tunery_server.jobs.hardware import Hardware
from tunery_server.jobs.intake import Draft, Intake
from tunery_server.jobs.request import JobRequest
from tunery_server.jobs.speed import Seconds
from tunery_server.jobs.surveys import Surveys
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Job, JobMethod

_EARLIER = 50
_FORWARD_SHARE = 0.5
"""A token that is only looked at costs half of one that is learnt from, the base being frozen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A job, as it would be, and what it takes. Counts of a sample stand for the whole file."""

    job: Job
    survey: Survey
    validation: Survey | None
    max_length: int
    longest: int
    """Tokens of the longest sequence of either file, after cutting."""
    examples: int
    tokens: int
    """Of one epoch."""
    trained_tokens: int
    steps_per_epoch: int
    memory_bytes: int
    machine_bytes: int | None
    misfit: InvalidRequest | None
    """Why it would be refused."""
    adapter_bytes: int | None
    seconds: Seconds | None

    @property
    def epochs(self) -> int:
        """Passes over the file."""
        return int(self.job.hyperparameters["n_epochs"])


@dataclass(frozen=True, slots=True)
class Preview:
    """Rows as the trainer would see them, and the counts of the whole file."""

    rows: tuple[ShownRow, ...]
    survey: Survey
    max_length: int


class Estimates:
    """Answers before a job is made, for one tenant at a time."""

    def __init__(
        self,
        *,
        intake: Intake,
        surveys: Surveys,
        fit: Fit,
        jobs: JobRecords,
        base: BaseModel,
        hardware: Hardware,
    ) -> None:
        self._intake = intake
        self._surveys = surveys
        self._fit = fit
        self._jobs = jobs
        self._base = base
        self._hardware = hardware

    async def estimate(self, tenant_id: str, request: JobRequest) -> Estimate:
        """What the job would take. Raises what creating it would for another reason than memory."""
        draft = await asyncio.to_thread(self._intake.draft, tenant_id, request)
        survey = await self._surveys.survey(draft.training)
        validation = None
        if draft.validation is not None:
            validation = await self._surveys.survey(draft.validation, "validation")
        return await asyncio.to_thread(self._estimate, draft, survey, validation)

    async def preview(
        self, tenant_id: str, request: JobRequest, *, offset: int, limit: int
    ) -> Preview:
        """Rows of the training file, and its counts. Raises as :meth:`estimate`."""
        draft = await asyncio.to_thread(self._intake.draft, tenant_id, request)
        rows, survey = await self._surveys.rows(draft.training, offset=offset, limit=limit)
        return Preview(rows, survey, self._surveys.max_length)

    async def counted(self, tenant_id: str, request: JobRequest, create: Callable[[], Job]) -> Job:
        """The job that ``create`` makes, after its files were counted, if it may be a large one.

        By its bytes alone a row may have several times the tokens that it has. For a small job that
        does not matter; a large one would be refused, or wait for memory that it does not need.
        """
        draft = await asyncio.to_thread(self._large, tenant_id, request)
        if draft is not None:
            await self._count(draft)
        return await asyncio.to_thread(create)

    def _large(self, tenant_id: str, request: JobRequest) -> Draft | None:
        """The job, if it may be a large one; None for a wish that is for ``create`` to refuse."""
        try:
            draft = self._intake.draft(tenant_id, request)
        except RequestError:
            return None
        return draft if self._fit.is_large(draft.job) else None

    async def _count(self, draft: Draft) -> None:
        """Does without where that cannot be done now."""
        with contextlib.suppress(TryAgainLater):
            await self._surveys.survey(draft.training)
            if draft.validation is not None:
                await self._surveys.survey(draft.validation, "validation")

    def _estimate(self, draft: Draft, survey: Survey, validation: Survey | None) -> Estimate:
        files = [file for file in (draft.training, draft.validation) if file is not None]
        longest = max(map(self._surveys.longest, files))
        examples = max(1, round(survey.examples * survey.scale))
        return Estimate(
            job=draft.job,
            survey=survey,
            validation=validation,
            max_length=self._surveys.max_length,
            longest=longest,
            examples=examples,
            tokens=round(survey.tokens * survey.scale),
            trained_tokens=round(survey.trained_tokens * survey.scale),
            steps_per_epoch=ceil(examples / draft.job.hyperparameters["batch_size"]),
            memory_bytes=self._fit.memory_bytes(draft.job, longest),
            machine_bytes=self._fit.largest_machine(),
            misfit=self._fit.misfit(draft.job, longest),
            adapter_bytes=self._fit.adapter_bytes(draft.job),
            seconds=self._seconds(draft.job, survey, validation),
        )

    def _seconds(self, job: Job, survey: Survey, validation: Survey | None) -> Seconds | None:
        tokens = _work(job, survey, validation)
        earlier = self._jobs.succeeded(job.model, limit=_EARLIER)
        known = speed.measured(job, [other for other in earlier if speed.has_rate(other)], tokens)
        base = self._base.shape()
        if known is not None or base is None:
            return known
        length = survey.tokens / survey.examples
        return speed.computed(base, self._hardware, LoraSpec(**job.lora), tokens, length)


def _work(job: Job, survey: Survey, validation: Survey | None) -> float:
    """Tokens that are learnt from, and those that are only looked at for what they cost."""
    epochs, tokens = job.hyperparameters["n_epochs"], survey.tokens * survey.scale
    looked_at = tokens if job.method is JobMethod.DPO else 0.0  # by the reference
    if validation is not None:
        looked_at += epochs * validation.tokens * validation.scale
    return float(epochs * tokens + _FORWARD_SHARE * looked_at)
