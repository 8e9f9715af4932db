"""The one table of legal changes of a batch's state."""

from tunery_server.records.rows import BatchStatus

LEGAL: dict[BatchStatus, frozenset[BatchStatus]] = {
    BatchStatus.VALIDATING: frozenset(
        {BatchStatus.IN_PROGRESS, BatchStatus.FAILED, BatchStatus.CANCELLING}
    ),
    BatchStatus.IN_PROGRESS: frozenset(
        {
            BatchStatus.FINALIZING,
            BatchStatus.FAILED,
            BatchStatus.EXPIRED,
            BatchStatus.CANCELLING,
        }
    ),
    BatchStatus.FINALIZING: frozenset(
        {BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELLING}
    ),
    BatchStatus.CANCELLING: frozenset({BatchStatus.CANCELLED, BatchStatus.FAILED}),
    BatchStatus.COMPLETED: frozenset(),
    BatchStatus.FAILED: frozenset(),
    BatchStatus.EXPIRED: frozenset(),
    BatchStatus.CANCELLED: frozenset(),
}

FINAL = frozenset(status for status, following in LEGAL.items() if not following)
UNFINISHED = frozenset(LEGAL) - FINAL


def before(status: BatchStatus) -> frozenset[BatchStatus]:
    """The states from which a batch may go to ``status``."""
    return frozenset(earlier for earlier, following in LEGAL.items() if status in following)
