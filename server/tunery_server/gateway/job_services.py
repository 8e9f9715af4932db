"""Composes what carries out a client's wishes on fine-tuning jobs; ``composition.py`` calls it."""

import time
from dataclasses import dataclass

from tunery_adapters.base_model import BaseModel
from tunery_server.config import Settings
from tunery_server.engine.command import detect_device
from tunery_server.files.storage import file_storage
from tunery_server.jobs.estimate import Estimates
from tunery_server.jobs.fit import Fit
from tunery_server.jobs.hardware import Hardware
from tunery_server.jobs.intake import Intake
from tunery_server.jobs.lineage import Lineage
from tunery_server.jobs.service import JobService
from tunery_server.jobs.statistics import JobStatistics
from tunery_server.jobs.survey_process import SurveyProcesses
from tunery_server.jobs.surveys import Ask, Surveys
from tunery_server.queue.contract import JobQueue
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.job_history import JobHistory
from tunery_server.records.job_numbers import JobNumbers
from tunery_server.records.jobs import JobRecords
from tunery_server.records.tenants import TenantPolicies, default_policy


@dataclass(frozen=True, slots=True)
class JobServices:
    """Jobs, what is asked before there is one, and how all of them do."""

    jobs: JobService
    estimates: Estimates
    statistics: JobStatistics


def compose_jobs(
    settings: Settings, database: Database, queue: JobQueue, ask: Ask | None = None
) -> JobServices:
    """All of them, on one record and one queue; ``ask`` looks at files, by default a process."""
    base = BaseModel(settings.base_model_path)
    hardware = Hardware.of(detect_device(settings), settings.threads_of_a_trainer)
    surveys = _surveys(settings, base, ask or SurveyProcesses())
    fit = Fit(base=base, hardware=hardware, largest_machine=queue.largest_machine)
    intake = _intake(settings, database, surveys, fit)
    estimates = Estimates(
        intake=intake,
        surveys=surveys,
        fit=fit,
        jobs=JobRecords(database),
        base=base,
        hardware=hardware,
    )
    statistics = JobStatistics(settings.max_metric_names, JobNumbers(database), clock=time.time)
    return JobServices(_jobs(settings, database, queue, intake), estimates, statistics)


def _surveys(settings: Settings, base: BaseModel, ask: Ask) -> Surveys:
    return Surveys(
        ask=ask,
        base=base,
        path=file_storage(settings).path,
        max_length=settings.training_length,
    )


def _intake(settings: Settings, database: Database, surveys: Surveys, fit: Fit) -> Intake:
    return Intake(
        files=FileRecords(database),
        lineage=Lineage(base_model=settings.base_model_name, adapters=AdapterRecords(database)),
        surveys=surveys,
        fit=fit,
        max_lora_rank=settings.max_lora_rank,
        clock=time.time,
    )


def _jobs(settings: Settings, database: Database, queue: JobQueue, intake: Intake) -> JobService:
    return JobService(
        jobs=JobRecords(database),
        history=JobHistory(database),
        intake=intake,
        queue=queue,
        policies=TenantPolicies(database, default_policy(settings)),
        clock=time.time,
    )
