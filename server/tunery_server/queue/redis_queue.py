"""The queue on Redis 6.2 or newer, or Valkey. Time is the server's, so that clocks may differ."""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.commands.core import Script

from tunery_server.errors import QueueUnavailable
from tunery_server.queue.contract import ANYTHING, Entry, Lease, Offer, Share, Yielding
from tunery_server.queue.lanes import above, lane, order

_LUA = Path(__file__).parent / "lua"
_PRELUDE = _LUA / "prelude.lua"
_UNBOUNDED = 1 << 62
_JOBS_A_CALL = 1000
"""Few enough that no call keeps the others waiting."""
_MACHINES_KEPT_MS = 3_600_000


class RedisQueue:
    """Implements :class:`JobQueue`. Blocking and thread-safe.

    ``patience_s``: a job that has waited for so long is its tenant's next, whatever its priority.
    """

    def __init__(
        self,
        client: "redis.Redis",
        *,
        lease_s: float,
        patience_s: float = 4 * 3600.0,
        prefix: str = "{tunery}",
        new_token: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._client = client
        self._lease_ms = int(lease_s * 1000)
        self._patience_ms = int(patience_s * 1000)
        self._new_token = new_token
        self._prefix = prefix
        self._scripts = {
            path.stem: client.register_script(_PRELUDE.read_text() + path.read_text())
            for path in _LUA.glob("*.lua")
            if path != _PRELUDE
        }

    def ping(self) -> None:
        """Return when the server answers and takes what is written."""
        self._run("ping")

    def enqueue(self, entry: Entry) -> None:
        """Put a job in line, by priority and age within its tenant."""
        self._run(
            "enqueue",
            entry.job_id,
            entry.tenant_id,
            lane(entry.need),
            order(entry.priority, entry.created_at),
            int(entry.waited_s * 1000),
            int(entry.delay_s * 1000),
            *_words(entry.share),
        )

    def claim(
        self, *, wait_s: float, offer: Offer = ANYTHING, instead_of: Yielding | None = None
    ) -> Lease | None:
        """Take the next job, waiting for a wake-up when there is none."""
        lease = self._claim(offer, instead_of)
        if lease is None and wait_s > 0:
            with _unavailable():
                self._client.blpop([f"{self._prefix}:wake"], timeout=wait_s)
            lease = self._claim(offer, instead_of)
        return lease

    def renew(self, lease: Lease) -> bool:
        """Prolong the lease by its full length from now."""
        words = (lease.job_id, lease.token, self._lease_ms, lease.tenant_id, lease.lane)
        return bool(self._run("renew", *words))

    def finish(self, lease: Lease) -> None:
        """Give the lease back."""
        self._run("finish", lease.job_id, lease.token)

    def remove(self, job_id: str) -> None:
        """Take a waiting job out of the line."""
        self._run("remove", job_id)

    def positions(self, job_ids: Collection[str]) -> dict[str, int]:
        """Places in their tenants' lines, from 1."""
        jobs = list(job_ids)
        places = self._run_on("positions", jobs)
        return {job: place for job, place in zip(jobs, places, strict=True) if place}

    def unknown(self, job_ids: Collection[str]) -> frozenset[str]:
        """Those that neither wait nor are leased."""
        return _names(self._run_on("unknown", list(job_ids)))

    def leased(self) -> frozenset[str]:
        """Jobs under a live lease."""
        return _names(self._run("leased"))

    def sweep(self) -> frozenset[str]:
        """Drop leases that ran out."""
        return _names(self._run("sweep"))

    def set_share(self, tenant_id: str, share: Share) -> None:
        """Tell what a tenant may have."""
        self._run("share", tenant_id, *_words(share))

    def largest_machine(self) -> int | None:
        """Memory of the largest device that a claim told of within the last hour."""
        known = self._run("machines", _MACHINES_KEPT_MS)
        return max((int(float(memory)) for memory in known), default=None)

    def _claim(self, offer: Offer, instead_of: Yielding | None) -> Lease | None:
        token = self._new_token()
        words = [token, self._lease_ms, *_offered(offer), self._patience_ms]
        if instead_of is not None:
            words += [instead_of.job_id, above(instead_of.priority)]
        taken = self._run("claim", *words)
        if taken is None:
            return None
        job_id, tenant_id, lane_name = (word.decode() for word in taken)
        return Lease(job_id, token, tenant_id, lane_name)

    def _run_on(self, name: str, jobs: list[str]) -> list[Any]:
        starts = range(0, len(jobs), _JOBS_A_CALL)
        return [
            answer
            for start in starts
            for answer in self._run(name, *jobs[start : start + _JOBS_A_CALL])
        ]

    def _run(self, name: str, *words: Any) -> Any:
        script: Script = self._scripts[name]
        with _unavailable():
            return script(keys=[self._prefix], args=words)


def _offered(offer: Offer) -> list[int]:
    free = _UNBOUNDED if offer.memory_bytes is None else offer.memory_bytes
    whole = max(free, offer.whole_memory_bytes or 0)
    devices = max(offer.devices, offer.whole_devices)
    return [free, offer.devices, whole, devices, offer.machine_memory_bytes or 0]


def _words(share: Share) -> tuple[float, int]:
    return share.weight, -1 if share.max_running is None else share.max_running


def _names(members: Iterable[bytes]) -> frozenset[str]:
    return frozenset(member.decode() for member in members)


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise QueueUnavailable("The job queue does not answer. Try again shortly.") from error
