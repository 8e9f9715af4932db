"""Tunery's queue for the dispatch benchmark: ``python -m benchmarks.dispatch_tunery HOW SOCKET N``.

``work`` claims jobs and tells when each was its, until it is ended; ``fill`` puts N into the line;
``ask`` puts them there one by one, each when the one before was claimed, and prints how many
seconds each took to be claimed. ``dispatch_rq.py`` does the same.
"""

import json
import sys
import time
from typing import Any

import redis

from tunery_server.queue.contract import Entry
from tunery_server.queue.redis_queue import RedisQueue

_CLAIMED = "claimed"
_LEASE_S = 60.0
_WAIT_S = 5.0


def work(client: "redis.Redis") -> None:
    """What a worker does between two jobs, over and over."""
    queue = RedisQueue(client, lease_s=_LEASE_S)
    while True:
        lease = queue.claim(wait_s=_WAIT_S)
        if lease is not None:
            client.rpush(_CLAIMED, time.monotonic())
            queue.finish(lease)


def fill(client: "redis.Redis", count: int) -> None:
    """Jobs of one tenant."""
    queue = RedisQueue(client, lease_s=_LEASE_S)
    for number in range(count):
        now = time.time()
        queue.enqueue(Entry(job_id=f"job-{now}-{number}", tenant_id="tenant", created_at=now))


def ask(client: "redis.Redis", count: int) -> list[float]:
    """Seconds from putting a job into the line to its claim, of each."""
    took = []
    for _ in range(count):
        began = time.monotonic()
        fill(client, 1)
        answer: Any = client.blpop([_CLAIMED])
        took.append(float(answer[1]) - began)
    return took


def main(how: str, socket: str, count: str = "0") -> None:
    """See above."""
    client = redis.Redis(unix_socket_path=socket)
    if how == "work":
        work(client)
    elif how == "fill":
        fill(client, int(count))
    else:
        sys.stdout.write(json.dumps(ask(client, int(count))))


if __name__ == "__main__":
    main(*sys.argv[1:])
