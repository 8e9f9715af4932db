"""In which order two unequal tenants' jobs start.

``python -m benchmarks.queue_order > docs/queue-order.svg``. One tenant puts 100 jobs in line, then
another, of three times its weight, puts 10; a little later the second comes back with 30 more. One
worker runs a job after the other, on a real queue.
"""

import sys
from collections.abc import Iterator

from benchmarks.queue_server import running_server
from tunery_server.queue.contract import Entry, Share
from tunery_server.queue.redis_queue import RedisQueue

STARTS = 110
BACK_AT = 60
COLOURS = {"many": "#9a6324", "heavy": "#1f77b4"}
WORDS = {"many": "100 jobs at once, weight 1", "heavy": "10 jobs, later 30 more, weight 3"}


def fill(queue: RedisQueue, tenant: str, numbers: range, weight: float) -> None:
    """Put a tenant's jobs in line."""
    for number in numbers:
        job = f"{tenant}-{number}"
        share = Share(weight)
        queue.enqueue(Entry(job_id=job, tenant_id=tenant, created_at=1e9 + number, share=share))


def starts(queue: RedisQueue) -> Iterator[str]:
    """Whose job starts, one after the other."""
    fill(queue, "many", range(100), 1)
    fill(queue, "heavy", range(10), 3)
    for number in range(STARTS):
        if number == BACK_AT:
            fill(queue, "heavy", range(10, 40), 3)
        lease = queue.claim(wait_s=0)
        if lease is None:
            return
        yield lease.tenant_id
        queue.finish(lease)


def svg(order: list[str]) -> str:
    """Starts so far (up) over all starts (right), a line for each tenant."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 400" font-family="sans-serif" '
        'font-size="13">',
        '<rect width="720" height="400" fill="white"/>',
        '<path d="M50 20V350H700" fill="none" stroke="black"/>',
        '<text x="375" y="385" text-anchor="middle">starts of all jobs</text>',
        '<text x="14" y="200" transform="rotate(-90 14 200)" text-anchor="middle">'
        "starts of this tenant's jobs</text>",
    ]
    for row, (tenant, colour) in enumerate(COLOURS.items()):
        sums = [order[: end + 1].count(tenant) for end in range(len(order))]
        points = " ".join(f"{_x(end + 1):.0f},{_y(height):.0f}" for end, height in enumerate(sums))
        y = 40 + 20 * row
        parts += [
            f'<polyline points="50,350 {points}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<text x="70" y="{y}" fill="{colour}">{WORDS[tenant]}</text>',
        ]
    for tick in range(0, STARTS, 20):
        parts.append(f'<text x="{_x(tick):.0f}" y="366" text-anchor="middle">{tick}</text>')
        parts.append(f'<text x="44" y="{_y(tick) + 4:.0f}" text-anchor="end">{tick}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _x(starts: int) -> float:
    return 50 + 650 * starts / STARTS


def _y(starts: int) -> float:
    return 350 - 330 * starts / STARTS


if __name__ == "__main__":
    with running_server() as client:
        sys.stdout.write(svg(list(starts(RedisQueue(client, lease_s=60)))))
