"""What a soak measures of the processes, the queue and the disk; and how much of it grows."""

import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from tests.faults.stack import Stack

WARM_UP = 0.25
"""The share of a soak's time before anything is held against its samples."""
_SHOWN = 20


@dataclass(frozen=True)
class Sample:
    """One look. Memory in MiB, logs in KiB."""

    at_s: float
    requests: int
    gateway_mib: float
    gateway_fds: int
    gateway_threads: int
    gateway_tasks: int
    worker_mib: float
    worker_fds: int
    worker_threads: int
    redis_keys: int
    redis_mib: float
    logs_kib: float


def look(stack: Stack, at_s: float, requests: int, tasks: int) -> Sample:
    """A sample of ``stack``. ``tasks`` are what the gateway itself tells."""
    memory = stack.redis.info("memory")
    gateway, worker = stack.gateway.pid, stack.worker.pid
    logs = sum(path.stat().st_size for path in stack.home.rglob("*.log"))
    return Sample(
        at_s=at_s,
        requests=requests,
        gateway_mib=rss_mib(gateway),
        gateway_fds=_count(gateway, "fd"),
        gateway_threads=_count(gateway, "task"),
        gateway_tasks=tasks,
        worker_mib=rss_mib(worker),
        worker_fds=_count(worker, "fd"),
        worker_threads=_count(worker, "task"),
        redis_keys=int(stack.redis.dbsize()),
        redis_mib=memory["used_memory"] / 2**20,
        logs_kib=logs / 2**10,
    )


def rss_mib(pid: int) -> float:
    """Memory that a process has in use."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _count(pid: int, folder: str) -> int:
    """Open files (``fd``) or threads (``task``) of a process."""
    return len(os.listdir(f"/proc/{pid}/{folder}"))  # noqa: PTH208


def warm(samples: Sequence[Sample]) -> list[Sample]:
    """Those after the warm-up."""
    begin = samples[-1].at_s * WARM_UP
    return [sample for sample in samples if sample.at_s >= begin]


def slope(samples: Sequence[Sample], name: str) -> float:
    """Growth in ten minutes, by least squares over what came after the warm-up."""
    points = [(sample.at_s, getattr(sample, name)) for sample in warm(samples)]
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return 600 * sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


def grown(samples: Sequence[Sample], name: str) -> float:
    """By how much the highest of the last third exceeds the highest before it."""
    values = [getattr(sample, name) for sample in warm(samples)]
    cut = -(-len(values) * 2 // 3)
    return float(max(values[cut:]) - max(values[:cut]))


def table(samples: Sequence[Sample]) -> str:
    """Some of the samples, evenly spread, as text."""
    names = [field.name for field in fields(Sample)]
    step = max(1, len(samples) // _SHOWN)
    lines = [" ".join(f"{name:>15}" for name in names)]
    for sample in samples[::step]:
        values = (
            f"{value:.1f}" if isinstance(value, float) else value for value in astuple(sample)
        )
        lines.append(" ".join(f"{value:>15}" for value in values))
    return "\n".join(lines)
