"""What a training takes: time, and energy where the device counts it."""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from tunery_adapters.reports import Spent

Counter: TypeAlias = Callable[[], float | None]
"""Joules since some moment in the past; None when it cannot be read."""


class Meter:
    """Seconds and joules since it was made, or read the last time."""

    def __init__(self, monotonic: Callable[[], float], joules: Counter) -> None:
        self._monotonic = monotonic
        self._joules = joules
        self._seen = (monotonic(), joules())

    def lap(self) -> Spent:
        """Read it, and begin anew."""
        (then, had), (now, has) = self._seen, (self._monotonic(), self._joules())
        self._seen = (now, has)
        taken = None if has is None or had is None else has - had
        return Spent(training_s=now - then, energy_j=taken)


def energy_counter(device: torch.device) -> Counter:
    """The device's own counter of the joules that it takes, whoever it computes for.

    NVIDIA's from Volta on have one, in millijoules since the driver was loaded (NVML API Reference,
    nvmlDeviceGetTotalEnergyConsumption); a part of one (MIG) and a CPU have none.
    """
    if device.type != "cuda":
        return _unknown
    try:
        import pynvml  # noqa: PLC0415 - comes with the engine on such machines alone
    except ImportError:
        return _unknown
    return nvml_counter(pynvml, str(torch.cuda.get_device_properties(device).uuid))


def nvml_counter(nvml: Any, uuid: str) -> Counter:
    """Of the device with this UUID, which stays the same whatever devices a process may see."""

    def joules() -> float | None:
        try:
            return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except nvml.NVMLError:
            return None

    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid.removeprefix('GPU-')}")
    except nvml.NVMLError:
        return _unknown
    return joules


def _unknown() -> None:
    return None
