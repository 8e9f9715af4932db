"""What an attempt leaves behind, and is of no use once the job has ended."""

import shutil
from pathlib import Path

from tunery_server.jobs.transitions import FINAL
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Job, JobStatus
from tunery_server.worker.publisher import Publisher

_NAMES = ("checkpoints", "adapter", "reference", ".tmp-adapter", ".tmp-reference")


def remove(job: Job, folder: Path, publisher: Publisher) -> None:
    """Remove all that weighs in the folder of a job that has ended; its spec and its log stay.

    An adapter that was published when the job was cancelled, or failed, goes first.
    """
    if job.status is not JobStatus.SUCCEEDED:
        publisher.withdraw(job)
    for name in _NAMES:
        shutil.rmtree(folder / name, ignore_errors=True)


def sweep(jobs_folder: Path, jobs: JobRecords, publisher: Publisher) -> None:
    """Do so for every job that has ended, such as one cancelled while it was paused."""
    for folder in {path.parent for name in _NAMES for path in jobs_folder.glob(f"*/{name}")}:
        job = jobs.get_any(folder.name)
        if job is not None and job.status in FINAL:
            remove(job, folder, publisher)
