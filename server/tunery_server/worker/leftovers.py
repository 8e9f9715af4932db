"""What a trainer leaves in its working folder, and is of no use once the job has ended."""

import shutil
from pathlib import Path

from tunery_server.jobs.transitions import FINAL
from tunery_server.records.jobs import JobRecords

_NAMES = ("checkpoints", "adapter", "reference")


def remove(folder: Path) -> None:
    """Remove all that weighs in the folder of one job; its spec and its log stay."""
    for name in _NAMES:
        shutil.rmtree(folder / name, ignore_errors=True)


def sweep(jobs_folder: Path, jobs: JobRecords) -> None:
    """Do so for every job that has ended, such as one cancelled while it was paused."""
    for folder in {path.parent for name in _NAMES for path in jobs_folder.glob(f"*/{name}")}:
        job = jobs.get_any(folder.name)
        if job is not None and job.status in FINAL:
            remove(folder)
