"""From a job's record to its place in line: all that the queue knows can be said again."""

from collections.abc import Callable

from tunery_server.queue.contract import Entry, JobQueue, Need, Share
from tunery_server.records.rows import Job
from tunery_server.records.tenant_rows import TenantPolicy
from tunery_server.records.tenants import TenantPolicies

_FIRST_BACK_OFF_S = 1.0
_BACK_OFF_FACTOR = 10.0
_LONGEST_BACK_OFF_S = 300.0


class Line:
    """The queue, as told by the record. Blocking; every method may raise QueueUnavailable."""

    def __init__(
        self, *, queue: JobQueue, policies: TenantPolicies, clock: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._policies = policies
        self._clock = clock

    def put(self, job: Job) -> None:
        """Put a waiting job in line; does nothing if it is there, or leased.

        It backs off for no longer than it has to, although the clock may have been set back since.
        """
        policy, now = self._policies.of(job.tenant_id), self._clock()
        self._queue.enqueue(
            Entry(
                job_id=job.id,
                tenant_id=job.tenant_id,
                created_at=job.created_at,
                waited_s=max(0.0, now - waiting_since(job)),
                delay_s=min(max(0.0, job.not_before - now), back_off_s(job.losses)),
                priority=job.priority,
                need=need(job),
                share=_share(policy),
            )
        )

    def tell_shares(self) -> None:
        """Tell the queue what tenants may have, where that was set."""
        for policy in self._policies.list():
            self._queue.set_share(policy.tenant_id, _share(policy))


def need(job: Job) -> Need:
    """What a job takes of a machine."""
    return Need(job.memory_bytes)


def waiting_since(job: Job) -> float:
    """When a job began to wait, pauses and earlier runs left out."""
    return job.created_at if job.waiting_since is None else job.waiting_since


def again(job: Job, now: float) -> float:
    """``waiting_since`` of a running job that goes back in line: the time that it ran counts not.

    So a job that yields again and again does not wait for ever.
    """
    return now - waited_s(job)


def waited_s(job: Job) -> float:
    """How long a running job had waited when it was started."""
    started_at = waiting_since(job) if job.started_at is None else job.started_at
    return max(0.0, started_at - waiting_since(job))


def back_off_s(losses: int) -> float:
    """How long a job that lost so many workers stays out of line."""
    return min(_LONGEST_BACK_OFF_S, _FIRST_BACK_OFF_S * _BACK_OFF_FACTOR ** (losses - 1))


def _share(policy: TenantPolicy) -> Share:
    return Share(policy.weight, policy.max_running or None)
