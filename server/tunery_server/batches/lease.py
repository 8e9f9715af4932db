"""One attempt's right to write to its batch."""

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

from tunery_server.batches.transitions import FINAL, UNFINISHED, before
from tunery_server.errors import LeaseLost
from tunery_server.records.batches import BatchRecords
from tunery_server.records.rows import Batch, BatchStatus, File


class Lease:
    """The batch as this attempt last saw it, and the only way in which the attempt changes it.

    Every write carries the attempt's number, and the record refuses it once another one began.
    Blocking; may be used from several threads.
    """

    def __init__(
        self,
        batch: Batch,
        batches: BatchRecords,
        *,
        clock: Callable[[], float],
        lease_s: float,
    ) -> None:
        self.batch = batch
        self._batches = batches
        self._clock = clock
        self._lease_s = lease_s
        self._lock = threading.Lock()

    def renew(self, **progress: Any) -> None:
        """Keep the batch for another while, and see what became of it. Raises LeaseLost."""
        with self._lock:
            if self.batch.status in FINAL:
                return
            until = self._clock() + self._lease_s
            if not self._set(UNFINISHED, leased_until=until, **progress):
                raise LeaseLost("Another attempt owns the batch.")

    def enter(self, status: BatchStatus, **values: Any) -> bool:
        """Go to a state that is not final. False when that is not legal any more."""
        values |= {"status": status, f"{status}_at": self._clock()}
        with self._lock:
            return self._set(before(status), **values)

    def end(self, status: BatchStatus, published: Sequence[File], **values: Any) -> bool:
        """Go to a final state. False when that is not legal any more."""
        with self._lock:
            ended = self._batches.finish(
                self.batch.id,
                status,
                at=self._clock(),
                allowed=before(status),
                in_attempt=self.batch.attempt,
                published=published,
                **values,
            )
            self.batch = ended or self.batch
        return ended is not None

    def _set(self, allowed: Collection[BatchStatus], **values: Any) -> bool:
        changed = self._batches.change(
            self.batch.id, allowed=allowed, in_attempt=self.batch.attempt, **values
        )
        self.batch = changed or self.batch
        return changed is not None
