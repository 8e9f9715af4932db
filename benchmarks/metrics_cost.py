"""What metrics by name cost: a request, a chunk of a stream, and a scrape.

``python benchmarks/metrics_cost.py`` prints microseconds of one core, the median of several
rounds, and how much memory a million names take.
"""

import statistics
import time
import tracemalloc
from collections.abc import Callable

from prometheus_client import CollectorRegistry, generate_latest

from tunery_server.serving.resolver import Route, Target
from tunery_server.serving.traffic import Traffic
from tunery_server.serving.usage import Usage

NAMES = 50
ROUNDS = 5
REQUESTS = 2_000
CHUNKS = 100


def request(traffic: Traffic, number: int, chunks: int) -> None:
    """One answered request of one of ``number`` tenants for an adapter of its own."""
    with traffic.seen(f"tenant-{number}") as sight:
        sight.route = Route(Target(f"ft:base:acme::{number}", None), alias="bot")
        sight.queue_wait_s = 0.01
        sight.sent()
        for tokens in range(1, chunks + 1):
            sight.chunk(tokens)
        sight.answered = True
        sight.took(Usage(100, chunks))


def microseconds(names: int, chunks: int) -> float:
    """Of one request, with so many names about and so many chunks."""
    rounds = []
    for _ in range(ROUNDS):
        traffic = Traffic(NAMES, status_of=lambda _: 500)
        began = time.process_time()
        for number in range(REQUESTS):
            request(traffic, number % names, chunks)
        rounds.append((time.process_time() - began) / REQUESTS * 1e6)
    return statistics.median(rounds)


def scrape_ms(fill: Callable[[Traffic], None]) -> tuple[float, int]:
    """Milliseconds to write everything down, and its lines."""
    traffic = Traffic(NAMES, status_of=lambda _: 500)
    fill(traffic)
    registry = CollectorRegistry()
    registry.register(traffic)
    began = time.process_time()
    text = generate_latest(registry)
    return (time.process_time() - began) * 1e3, text.count(b"\n")


def megabytes_of_a_million_names() -> float:
    """Kept after a million tenants came once each."""
    tracemalloc.start()
    traffic = Traffic(NAMES, status_of=lambda _: 500)
    for number in range(1_000_000):
        traffic.tenants.of((f"tenant-{number}",)).requests["2xx",] += 1
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept / 2**20


def full(traffic: Traffic) -> None:
    """As many names as there are labels, each with every metric."""
    for number in range(NAMES):
        request(traffic, number, 2)


if __name__ == "__main__":
    bare = microseconds(NAMES, 1)
    per_chunk = (microseconds(NAMES, CHUNKS + 1) - bare) / CHUNKS
    ms, lines = scrape_ms(full)
    print(f"a request of a name with a label     {bare:6.1f} us")
    print(f"a request among 100,000 names        {microseconds(100_000, 1):6.1f} us")
    print(f"a chunk of a stream                  {per_chunk:6.2f} us")
    print(f"a scrape of {lines} lines            {ms:6.1f} ms")
    print(f"a million names keep                 {megabytes_of_a_million_names():6.2f} MiB")
