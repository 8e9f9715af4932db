"""The queue on Redis 6.2 or newer, or Valkey. Time is the server's, so that clocks may differ."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.commands.core import Script

from tunery_server.errors import QueueUnavailable
from tunery_server.queue.contract import Lease

_LUA = Path(__file__).parent / "lua"


class RedisQueue:
    """Implements :class:`JobQueue`. Blocking and thread-safe."""

    def __init__(
        self,
        client: "redis.Redis",
        *,
        lease_s: float,
        prefix: str = "{tunery}",
        new_token: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._client = client
        self._lease_ms = int(lease_s * 1000)
        self._new_token = new_token
        self._waiting = f"{prefix}:waiting"
        self._leases = f"{prefix}:leases"
        self._owners = f"{prefix}:owners"
        self._wake = f"{prefix}:wake"
        self._scripts = {
            path.stem: client.register_script(path.read_text()) for path in _LUA.glob("*.lua")
        }

    def ping(self) -> None:
        """Return when the server answers."""
        with _unavailable():
            self._client.ping()

    def enqueue(self, job_id: str, *, created_at: float) -> None:
        """Put a job in line; the oldest comes first."""
        self._run("enqueue", [self._waiting, self._leases, self._wake], [job_id, created_at])

    def claim(self, *, wait_s: float) -> Lease | None:
        """Take the first job, waiting for a wake-up when there is none."""
        lease = self._claim()
        if lease is None and wait_s > 0:
            with _unavailable():
                self._client.blpop([self._wake], timeout=wait_s)
            lease = self._claim()
        return lease

    def renew(self, lease: Lease) -> bool:
        """Prolong the lease by its full length from now."""
        keys = [self._waiting, self._leases, self._owners]
        return bool(self._run("renew", keys, [lease.job_id, lease.token, self._lease_ms]))

    def finish(self, lease: Lease) -> None:
        """Give the lease back."""
        self._run("finish", [self._leases, self._owners], [lease.job_id, lease.token])

    def remove(self, job_id: str) -> None:
        """Take a waiting job out of the line."""
        with _unavailable():
            self._client.zrem(self._waiting, job_id)

    def waiting(self) -> tuple[str, ...]:
        """Jobs in line, next one first."""
        with _unavailable():
            members: Any = self._client.zrange(self._waiting, 0, -1)
        return tuple(member.decode() for member in members)

    def leased(self) -> frozenset[str]:
        """Jobs under a live lease."""
        members = self._run("leased", [self._leases, self._owners], [])
        return frozenset(member.decode() for member in members)

    def _claim(self) -> Lease | None:
        token = self._new_token()
        job = self._run(
            "claim", [self._waiting, self._leases, self._owners], [token, self._lease_ms]
        )
        return Lease(job.decode(), token) if job else None

    def _run(self, name: str, keys: list[str], arguments: list[Any]) -> Any:
        script: Script = self._scripts[name]
        with _unavailable():
            return script(keys=keys, args=arguments)


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise QueueUnavailable("The job queue does not answer. Try again shortly.") from error
