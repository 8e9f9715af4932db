"""RQ for the dispatch benchmark, in its own environment, as ``dispatch_tunery.py`` has Tunery's.

The worker is RQ's quickest: it runs a job in its own process instead of a new one.
"""

import json
import sys
import time
from typing import Any

import redis

_CLAIMED = "claimed"


def tell() -> None:
    """The job: when it was begun."""
    # Only the peer's environment has it.
    from rq import get_current_job  # type: ignore[import-not-found] # noqa: PLC0415

    get_current_job().connection.rpush(_CLAIMED, time.monotonic())


def queue(client: Any) -> Any:
    """RQ's default queue."""
    from rq import Queue  # noqa: PLC0415

    return Queue(connection=client)


def work(client: Any) -> None:
    """Until it is ended."""
    from rq import SimpleWorker  # noqa: PLC0415

    SimpleWorker([queue(client)], connection=client).work(logging_level="WARNING")


def fill(client: Any, count: int) -> None:
    """Jobs whose results nobody keeps."""
    line = queue(client)
    for _ in range(count):
        line.enqueue("benchmarks.dispatch_rq.tell", result_ttl=0)


def ask(client: Any, count: int) -> list[float]:
    """Seconds from putting a job into the line to its beginning, of each."""
    line, took = queue(client), []
    for _ in range(count):
        began = time.monotonic()
        line.enqueue("benchmarks.dispatch_rq.tell", result_ttl=0)
        took.append(float(client.blpop([_CLAIMED])[1]) - began)
    return took


def main(how: str, socket: str, count: str = "0") -> None:
    """As in ``dispatch_tunery.py``."""
    client = redis.Redis(unix_socket_path=socket)
    if how == "work":
        work(client)
    elif how == "fill":
        fill(client, int(count))
    else:
        sys.stdout.write(json.dumps(ask(client, int(count))))


if __name__ == "__main__":
    main(*sys.argv[1:])
