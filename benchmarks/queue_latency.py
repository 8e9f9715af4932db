"""How long a claim and a finish take, by jobs in line and tenants; prints a table.

``python -m benchmarks.queue_latency [redis-server]``: on the bundled Valkey or another.
"""

import sys
import time

from benchmarks.queue_server import running_server
from tunery_server.queue.contract import Entry
from tunery_server.queue.redis_queue import RedisQueue

LINES = [(jobs, tenants) for jobs in (100, 1_000, 10_000, 100_000) for tenants in (1, 1_000)]
CLAIMS = 1_000


def fill(queue: RedisQueue, jobs: int, tenants: int) -> None:
    """Put ``jobs`` jobs in line, as evenly as can be."""
    for number in range(jobs):
        tenant = f"tenant-{number % tenants}"
        queue.enqueue(Entry(job_id=f"job-{number}", tenant_id=tenant, created_at=1e9 + number))


def measure(queue: RedisQueue, claims: int) -> tuple[list[float], list[float], list[str]]:
    """Milliseconds of each claim and of each finish, sorted; and whose jobs were claimed."""
    claimed, finished, tenants = [], [], []
    for _ in range(claims):
        started = time.perf_counter()
        lease = queue.claim(wait_s=0)
        had = time.perf_counter()
        if lease is None:
            raise RuntimeError("the line is shorter than it should be")
        queue.finish(lease)
        finished.append((time.perf_counter() - had) * 1000)
        claimed.append((had - started) * 1000)
        tenants.append(lease.tenant_id)
    return sorted(claimed), sorted(finished), tenants


def main(binary: str | None = None) -> None:
    """Print one row for each length of the line."""
    sys.stdout.write("  waiting  tenants   claim p50    p99   finish p50    p99   (ms)  turns\n")
    with running_server(binary) as client:
        for jobs, tenants in LINES:
            client.flushall()
            queue = RedisQueue(client, lease_s=60)
            fill(queue, jobs, tenants)
            claims = min(jobs, CLAIMS)
            claimed, finished, order = measure(queue, claims)
            fair = len(set(order)) == min(tenants, jobs, claims)
            half, most = claims // 2, claims * 99 // 100
            sys.stdout.write(
                f"{jobs:9} {tenants:8} {claimed[half]:11.3f} {claimed[most]:6.3f} "
                f"{finished[half]:12.3f} {finished[most]:6.3f}         "
                f"{'each tenant' if fair else 'UNFAIR'}\n"
            )


if __name__ == "__main__":
    main(*sys.argv[1:2])
