"""Redis or Valkey: there, new enough, keeping what it confirms, with a clock like ours."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tunery_server.config import Settings
from tunery_server.doctor.clocks import compared
from tunery_server.doctor.finding import Finding, Level, fail, ok, warn
from tunery_server.queue.durability import OLDEST, WANTED, is_too_old
from tunery_server.supervisor.valkey import valkey_command

_PATIENCE_S = 3.0


def redis_checks(settings: Settings, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """One line if it does not answer, else one for each thing that it was asked."""
    if settings.redis_url is None and not settings.valkey_socket.exists():
        valkey_command(settings.home, settings.valkey_socket)  # raises when there is no binary
        yield ok("redis", "the embedded Valkey is not running; `tunery serve` starts it")
        return
    with redis.Redis.from_url(
        settings.redis,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        socket_timeout=_PATIENCE_S,
        socket_connect_timeout=_PATIENCE_S,
    ) as client:
        try:
            about: Any = client.info()
        except redis.RedisError as error:
            yield _silent(settings, error)
            return
        yield _version(about)
        yield from _configuration(settings, client)
        yield from _writes(about)
        before = clock()
        seconds, microseconds = client.time()
        yield compared("redis clock", seconds + microseconds / 1e6, before, clock())


def _silent(settings: Settings, error: redis.RedisError) -> Finding:
    if settings.redis_url is None:
        return warn(
            "redis",
            "the embedded Valkey left a socket behind and does not answer",
            "start `tunery serve`; if it runs, see valkey/valkey.log in the data folder",
        )
    return fail(
        "redis",
        f"it does not answer as it should ({type(error).__name__}: {error})",
        "start it, or let REDIS_URL name its host, port, user and password",
    )


def _version(about: dict[str, Any]) -> Finding:
    version = str(about["redis_version"])
    oldest = ".".join(map(str, OLDEST))
    if is_too_old(version):
        return fail("redis", f"it is of version {version}", f"run {oldest} or newer, or a Valkey")
    return ok("redis", f"answers, speaks as Redis {version}; {oldest} is the oldest that will do")


def _configuration(settings: Settings, client: "redis.Redis") -> Iterator[Finding]:
    bad = Level.FAIL if settings.require_durable_redis else Level.WARN
    try:
        known: Any = client.config_get(*WANTED, "save")
    except redis.ResponseError as error:
        yield warn(
            "redis durability",
            f"it may not be asked how it is configured ({error})",
            "make sure of: " + ", ".join(f"{name} {wanted}" for name, wanted in WANTED.items()),
        )
        return
    for name, check in (("appendonly", "redis durability"), ("maxmemory-policy", "redis memory")):
        value, wanted = known.get(name, WANTED[name]), WANTED[name]
        says = f"{name} is {value}"
        if value == wanted:
            yield ok(check, says)
            continue
        if name == "appendonly" and known.get("save"):
            says += f", and snapshots (save {known['save']}) lose what came after the last one"
        yield Finding(check, bad, says, f"CONFIG SET {name} {wanted}, and in its configuration")


def _writes(about: dict[str, Any]) -> Iterator[Finding]:
    """Only when there is something to tell."""
    names = ("aof_last_write_status", "rdb_last_bgsave_status")
    failed = [name for name in names if about.get(name, "ok") != "ok"]
    if failed:
        yield fail(
            "redis disk",
            f"it cannot write to its disk ({', '.join(failed)})",
            "make room there, and look into its log",
        )
