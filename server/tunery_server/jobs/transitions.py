"""The one table of legal changes of a job's state."""

from tunery_server.records.rows import JobStatus

LEGAL: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.VALIDATING_FILES: frozenset(
        {JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.RUNNING: frozenset(
        {JobStatus.QUEUED, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}

FINAL = frozenset(status for status, following in LEGAL.items() if not following)
UNFINISHED = frozenset(LEGAL) - FINAL


def before(status: JobStatus) -> frozenset[JobStatus]:
    """The states from which a job may go to ``status``."""
    return frozenset(earlier for earlier, following in LEGAL.items() if status in following)
