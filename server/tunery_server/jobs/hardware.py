"""What trainers run on, as far as a server can tell without them."""

from dataclasses import dataclass
from pathlib import Path

from tunery_adapters.footprint import Device

_NATIVE_BFLOAT16 = {"avx512_bf16", "amx_bf16"}


@dataclass(frozen=True, slots=True)
class Hardware:
    """The trainers' device, the bytes of a number of the frozen base there, and CPU threads."""

    device: Device
    item_bytes: int
    threads: int

    @classmethod
    def of(cls, device: str, threads: int, cpuinfo: Path = Path("/proc/cpuinfo")) -> "Hardware":
        """As the trainer decides it: 2 bytes where bfloat16 is multiplied in hardware, else 4."""
        if device == "cuda":
            return cls("cuda", 2, threads)
        return cls("cpu", 2 if _NATIVE_BFLOAT16 & _flags(cpuinfo) else 4, threads)


def _flags(cpuinfo: Path) -> set[str]:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
