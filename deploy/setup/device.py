"""Which build of the engine this machine gets."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from console import SetupError

DEVICES = ("cpu", "cuda")


def recognise(environ: Mapping[str, str]) -> str:
    """Return ``cpu`` or ``cuda``: the setting ``DEVICE`` if there is one, else what is found."""
    wanted = environ.get("DEVICE", "").strip().lower()
    if wanted and wanted not in DEVICES:
        raise SetupError(f"DEVICE is {wanted!r}; it must be one of {', '.join(DEVICES)}.")
    return wanted or ("cuda" if _cuda_devices() else "cpu")


def _cuda_devices() -> int:
    """Count CUDA devices by the driver's own library, as the engine will (cuDeviceGetCount)."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
