"""The one table of legal changes of a job's state, and the moves that depend on where a job is."""

from collections.abc import Mapping

from tunery_server.records.rows import JobStatus

LEGAL: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.VALIDATING_FILES: frozenset(
        {JobStatus.QUEUED, JobStatus.PAUSED, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.QUEUED: frozenset(
        {JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.RUNNING: frozenset(
        {
            JobStatus.QUEUED,
            JobStatus.PAUSING,
            JobStatus.SUCCEEDED,
            JobStatus.FAILED,
            JobStatus.CANCELLED,
        }
    ),
    JobStatus.PAUSING: frozenset(
        {
            JobStatus.PAUSED,
            JobStatus.RUNNING,
            JobStatus.SUCCEEDED,
            JobStatus.FAILED,
            JobStatus.CANCELLED,
        }
    ),
    JobStatus.PAUSED: frozenset({JobStatus.QUEUED, JobStatus.CANCELLED}),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}

FINAL = frozenset(status for status, following in LEGAL.items() if not following)
UNFINISHED = frozenset(LEGAL) - FINAL

Moves = Mapping[JobStatus, JobStatus]

PAUSE: Moves = {
    JobStatus.VALIDATING_FILES: JobStatus.PAUSED,
    JobStatus.QUEUED: JobStatus.PAUSED,
    JobStatus.RUNNING: JobStatus.PAUSING,
}
"""A waiting job pauses at once, a running one when its trainer has left a checkpoint."""

RESUME: Moves = {JobStatus.PAUSED: JobStatus.QUEUED, JobStatus.PAUSING: JobStatus.RUNNING}
"""A paused job goes back in line; one that is about to pause goes on as if nothing had been."""

RELEASE: Moves = {JobStatus.RUNNING: JobStatus.QUEUED, JobStatus.PAUSING: JobStatus.PAUSED}
"""An attempt ends before its job does: back in line, or paused where that was asked for."""


def before(status: JobStatus) -> frozenset[JobStatus]:
    """The states from which a job may go to ``status``."""
    return frozenset(earlier for earlier, following in LEGAL.items() if status in following)
