"""The queue as its users see it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100


@dataclass(frozen=True, slots=True)
class Need:
    """What a job takes of a machine while it runs; 0 bytes for one of which that is not known."""

    memory_bytes: int = 0
    devices: int = 1


@dataclass(frozen=True, slots=True)
class Offer:
    """What a worker has free, and what is free when nothing runs on it, if that is more.

    ``memory_bytes`` None: as much as is wanted.
    """

    memory_bytes: int | None = None
    devices: int = 1
    whole_memory_bytes: int | None = None
    whole_devices: int = 1
    machine_memory_bytes: int | None = None
    """All that the device has, whoever else uses it."""


ANYTHING = Offer()


@dataclass(frozen=True, slots=True)
class Share:
    """What a tenant may have of the workers; None: as many jobs at once as there is room for."""

    weight: float = 1.0
    max_running: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A job to be put in line, with all that decides when it is next.

    ``created_at`` (Unix seconds) only orders a tenant's jobs. What is measured against the present
    is said as a length of time: the queue has a clock of its own.
    """

    job_id: str
    tenant_id: str
    created_at: float
    waited_s: float = 0.0
    delay_s: float = 0.0
    """Until it may start."""
    priority: int = 0
    need: Need = Need()
    share: Share = Share()


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run a job until the lease expires. ``token`` is new for every claim."""

    job_id: str
    token: str
    tenant_id: str = ""
    lane: str = "1:0"
    """Jobs of like needs share one; the queue wants it back when it has forgotten the lease."""


@dataclass(frozen=True, slots=True)
class Yielding:
    """A running job that would make room for one of a higher priority than its own."""

    job_id: str
    priority: int


class JobQueue(Protocol):
    """Order and leases. Every method may raise QueueUnavailable."""

    def ping(self) -> None:
        """Return when the queue answers and takes jobs."""

    def enqueue(self, entry: Entry) -> None:
        """Put a job in line; does nothing if it waits or is leased."""

    def claim(
        self, *, wait_s: float, offer: Offer = ANYTHING, instead_of: Yielding | None = None
    ) -> Lease | None:
        """Take the next job that fits ``offer``, waiting up to ``wait_s`` seconds for one.

        With ``instead_of``, only one of a higher priority, and as if that job were gone already.
        """

    def renew(self, lease: Lease) -> bool:
        """Prolong the lease; False when somebody else holds the job.

        A lease that the queue has forgotten is taken up again: the record decides who may write.
        """

    def finish(self, lease: Lease) -> None:
        """Give the lease back; does nothing when it is no longer held."""

    def remove(self, job_id: str) -> None:
        """Take a waiting job out of the line; does nothing to a leased one."""

    def positions(self, job_ids: Collection[str]) -> dict[str, int]:
        """Place in its tenant's line of each of these jobs that is in one, 1 for the next."""

    def unknown(self, job_ids: Collection[str]) -> frozenset[str]:
        """Those of these jobs that neither wait nor are leased."""

    def leased(self) -> frozenset[str]:
        """Jobs under a lease that has not run out."""

    def sweep(self) -> frozenset[str]:
        """Drop leases that ran out; the jobs that they were of."""

    def set_share(self, tenant_id: str, share: Share) -> None:
        """Tell what a tenant may have from here on; :meth:`enqueue` tells it, too."""

    def largest_machine(self) -> int | None:
        """Memory in bytes of the largest device of any worker of late; None when none is known."""
