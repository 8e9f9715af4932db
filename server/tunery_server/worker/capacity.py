"""What a worker can offer: places, and the memory of its device."""

import subprocess
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from tunery_server.queue.contract import Need, Offer

_LOOK_S = 10.0
_MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one device, in bytes. None where it cannot be told."""

    total: int | None = None
    free: int | None = None


class Capacity:
    """Free places, and memory less what running jobs are said to need.

    ``measure`` is asked now and then; a job that has just begun has not taken its memory yet, so
    its need is counted against what was free when nothing ran.
    """

    def __init__(
        self, *, slots: int, measure: Callable[[], Memory], timer: Callable[[], float]
    ) -> None:
        self.slots = slots
        self._measure = measure
        self._timer = timer
        self._memory = Memory()
        self._measured_at: float | None = None
        self._idle: int | None = None

    def offer(self, running: Collection[Need], leaving: Need | None = None) -> Offer:
        """What is free beside the jobs that run; ``leaving`` is one of them that would end."""
        self._look()
        if not running or self._idle is None:
            self._idle = self._memory.free
        staying = sum(need.memory_bytes for need in running) - (leaving or Need()).memory_bytes
        places = self.slots - len(running) + (leaving is not None)
        if self._idle is None or self._memory.free is None:
            return Offer(devices=places, whole_devices=self.slots)
        free = self._memory.free + (leaving or Need()).memory_bytes
        return Offer(
            memory_bytes=max(0, min(self._idle - staying, free)),
            devices=places,
            whole_memory_bytes=self._idle,
            whole_devices=self.slots,
            machine_memory_bytes=self._memory.total,
        )

    def _look(self) -> None:
        now = self._timer()
        if self._measured_at is None or now - self._measured_at >= _LOOK_S:
            self._measured_at = now
            self._memory = self._measure()


def system_memory(
    meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")
) -> Memory:
    """Of this machine, or of the container that bounds it."""
    try:
        lines = (line.split() for line in meminfo.read_text().splitlines())
        sizes = {words[0]: int(words[1]) * 1024 for words in lines}
        total, free = sizes["MemTotal:"], sizes["MemAvailable:"]
    except (OSError, KeyError, ValueError):
        return Memory()
    try:
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):
        return Memory(total, free)  # no bound, which is written as "max"
    return Memory(min(total, limit), max(0, min(free, limit - used)))


def cuda_memory(device: str = "0") -> Memory:
    """Of one CUDA device, as the driver's own tool says; ``device`` is its index or its UUID."""
    query = ["--query-gpu=memory.total,memory.free", "--format=csv,noheader,nounits"]
    command = ["nvidia-smi", "-i", device, *query]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        total, free = (int(word) * _MEBIBYTE for word in said.stdout.split(","))
    except (OSError, ValueError, subprocess.SubprocessError):
        return Memory()
    return Memory(total, free)
