"""The queue as its users see it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run a job until the lease expires. ``token`` is new for every claim."""

    job_id: str
    token: str


class JobQueue(Protocol):
    """Order and leases. Every method may raise QueueUnavailable."""

    def ping(self) -> None:
        """Return when the queue answers."""

    def enqueue(self, job_id: str, *, created_at: float) -> None:
        """Put a job in line by its time of creation; does nothing if it waits or is leased."""

    def claim(self, *, wait_s: float) -> Lease | None:
        """Take the first job, waiting up to ``wait_s`` seconds for one."""

    def renew(self, lease: Lease) -> bool:
        """Prolong the lease; False when somebody else holds the job.

        A lease that the queue has forgotten is taken up again: the record decides who may write.
        """

    def finish(self, lease: Lease) -> None:
        """Give the lease back; does nothing when it is no longer held."""

    def remove(self, job_id: str) -> None:
        """Take a waiting job out of the line; does nothing to a leased one."""

    def waiting(self) -> tuple[str, ...]:
        """Jobs in line, next one first."""

    def leased(self) -> frozenset[str]:
        """Jobs under a lease that has not expired; expired ones are dropped on the way."""
