"""Whether a Redis of the operator's own keeps what it has confirmed.

No job would be lost on one that forgets, because the record has them all. But a Redis that ends
without a word forgets who runs what, and one that evicts keys makes room with jobs in line.
"""

from collections.abc import Callable

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tunery_server.config import Settings
from tunery_server.errors import ConfigError
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_ONCE = Retry(NoBackoff(), 0)
OLDEST = (6, 2)
WANTED = {"appendonly": "yes", "maxmemory-policy": "noeviction"}


def check(settings: Settings) -> None:
    """Raises ConfigError when the Redis of ``REDIS_URL`` could forget jobs, or is too old.

    One that does not answer yet, or may not be asked, is only warned of. The embedded Valkey is
    started durable, and is not asked.
    """
    if settings.redis_url is None or not settings.require_durable_redis:
        return
    with redis.Redis.from_url(settings.redis_url, retry=_ONCE, decode_responses=True) as client:
        faults = [*_asked(_age, client), *_asked(_configuration, client)]
    if faults:
        raise ConfigError(
            f"The Redis of REDIS_URL would not keep jobs: {'; '.join(faults)}. Change that, "
            "or set TUNERY_REQUIRE_DURABLE_REDIS=false to start all the same."
        )


def is_too_old(version: str) -> bool:
    """Whether a server of this ``redis_version`` lacks a command that the queue needs."""
    return tuple(map(int, version.split(".")[:2])) < OLDEST


def _asked(question: Callable[["redis.Redis"], list[str]], client: "redis.Redis") -> list[str]:
    try:
        return question(client)
    except redis.RedisError as error:
        log.warning("cannot tell whether Redis keeps jobs", reason=type(error).__name__)
        return []


def _age(client: "redis.Redis") -> list[str]:
    version = str(client.info("server")["redis_version"])
    if not is_too_old(version):
        return []
    return [f"it is of version {version}, and 6.2 is the oldest that will do"]


def _configuration(client: "redis.Redis") -> list[str]:
    known = client.config_get(*WANTED)
    return [
        f"{name} is '{known[name]}' and has to be '{wanted}'"
        for name, wanted in WANTED.items()
        if known.get(name, wanted) != wanted
    ]
