"""Jobs in line, as tests put them there and look at them."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.rows import NOW
from tunery_server.queue.contract import Entry, JobQueue, Lease
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.rows import Job

SHORT_S = 0.05
LONG_S = 60.0

MakeQueue = Callable[..., RedisQueue]


def an_entry(job_id: str, tenant_id: str = "acme", **values: Any) -> Entry:
    return Entry(job_id=job_id, tenant_id=tenant_id, **{"created_at": NOW, **values})


def entry_of(job: Job) -> Entry:
    return an_entry(job.id, job.tenant_id, created_at=job.created_at)


def in_line(queue: JobQueue, job_ids: Iterable[str]) -> list[str]:
    """Those of these jobs of one tenant that wait, next one first."""
    places = queue.positions(list(job_ids))
    assert sorted(places.values()) == list(range(1, len(places) + 1))
    return sorted(places, key=places.__getitem__)


def claimed(queue: JobQueue, **values: Any) -> Lease:
    lease = queue.claim(wait_s=0, **values)
    assert lease is not None
    return lease


def until(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Return once the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)
