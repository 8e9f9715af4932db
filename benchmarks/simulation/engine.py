"""One simulated engine: its seats, its GPU slots and its adapters in main memory."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import StrEnum


class Tier(StrEnum):
    """Where an adapter was when a request for it began."""

    SLOT = "slot"
    RAM = "ram"
    DISK = "disk"


@dataclass(frozen=True)
class Shape:
    """What every engine is like. Raises ValueError if a request could find all slots in use."""

    seats: int = 32
    """Requests that run at once."""
    slots: int = 32
    ram: int = 512
    """Adapters in main memory: sixteen for each slot, Tunery's default."""
    answer_s: float = 2.0
    """Mean time of an answer, spread exponentially."""
    ram_s: float = 0.0015
    """From memory into a slot: 84 MB (8B, rank 16, every layer) over PCIe 5 at 55 GB/s."""
    disk_s: float = 0.040
    """From disk into a slot: C1-added of benchmarks/latest.json."""

    def __post_init__(self) -> None:
        if not self.seats <= self.slots <= self.ram:
            raise ValueError("seats, slots and ram must not decrease")


@dataclass
class Engine:
    """An engine at work. Loads go one after the other, as they do in an engine's step."""

    shape: Shape
    running: dict[int, int] = field(default_factory=dict)
    """Running requests: number to adapter."""
    waiting: deque[int] = field(default_factory=deque)
    slots: OrderedDict[int, None] = field(default_factory=OrderedDict)
    ram: OrderedDict[int, None] = field(default_factory=OrderedDict)
    loaded_until: float = 0.0

    @property
    def load(self) -> int:
        """Requests that run or wait."""
        return len(self.running) + len(self.waiting)

    def begin(self, request: int, adapter: int, now: float) -> tuple[float, Tier, list[int]]:
        """When its first step can be, where its adapter was, and which adapters left memory."""
        self.running[request] = adapter
        tier = self._tier(adapter)
        gone = self._keep(adapter)
        cost = {Tier.SLOT: 0.0, Tier.RAM: self.shape.ram_s, Tier.DISK: self.shape.disk_s}[tier]
        if not cost:
            return now, tier, gone
        self.loaded_until = max(now, self.loaded_until) + cost
        return self.loaded_until, tier, gone

    def _tier(self, adapter: int) -> Tier:
        if adapter in self.slots:
            return Tier.SLOT
        return Tier.RAM if adapter in self.ram else Tier.DISK

    def _keep(self, adapter: int) -> list[int]:
        busy = set(self.running.values())
        for tier, size in ((self.slots, self.shape.slots), (self.ram, self.shape.ram)):
            tier[adapter] = None
            tier.move_to_end(adapter)
            gone = []
            while len(tier) > size:
                oldest = next(one for one in tier if one not in busy)
                del tier[oldest]
                gone.append(oldest)
        return gone
