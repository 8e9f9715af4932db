"""One supervised process: started again, ever later, whenever it ends by itself."""

import asyncio
import contextlib
import logging
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunery_server.processes import child
from tunery_server.supervisor.restarts import Restarts
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_HURRY_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to run. ``environment`` is asked for at every start."""

    name: str
    command: Sequence[str]
    environment: Callable[[], dict[str, str]]
    log_file: Path | None
    """Where its output goes; None for this process's own."""
    stop_grace_s: float
    death_signal: signal.Signals = signal.SIGKILL
    """What it gets when this process is killed."""
    deaths: int | None = None
    """So many within ten minutes, and it is left down for a while."""


class Service:
    """Keeps one process running until :meth:`stop`."""

    def __init__(self, spec: Spec, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._spec = spec
        self._timer = timer
        self._process: Process | None = None
        self._grace_s = spec.stop_grace_s
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """What the process is called in logs."""
        return self._spec.name

    @property
    def pid(self) -> int | None:
        """The running process, if there is one."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the process and begin to watch it."""
        await self._spawn()
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL after the grace."""
        self._stopping.set()
        if self._process is not None:
            await child.stop(self._process, grace_s=self._grace_s)
        if self._task is not None:
            await self._task

    def kill(self) -> None:
        """End it at once, with its children; it starts again."""
        if self._process is not None:
            child.kill_group(self._process)

    def hurry(self) -> None:
        """Let no stop wait for long: one that does is told again, by SIGINT, then killed."""
        self._grace_s = _HURRY_S
        if self._stopping.is_set() and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)
            asyncio.get_running_loop().call_later(_HURRY_S, child.kill_group, self._process)

    async def _spawn(self) -> Process:
        with contextlib.ExitStack() as stack:
            output = None
            if self._spec.log_file is not None:
                output = stack.enter_context(self._spec.log_file.open("ab"))
            process = await child.start(
                list(self._spec.command),
                self._spec.environment(),
                stdout=output,
                stderr=output,
                death_signal=self._spec.death_signal,
            )
        self._process = process
        return process

    async def _watch(self) -> None:
        restarts = Restarts(self._spec.deaths)
        while True:
            started = self._timer()
            status = await self._end()
            if self._stopping.is_set():
                return
            delay_s = restarts.delay_s(started, self._timer())
            log.log(
                logging.ERROR if restarts.open else logging.WARNING,
                "process ended too often" if restarts.open else "process ended",
                name=self._spec.name,
                status=status,
                again_in_s=delay_s,
                log=str(self._spec.log_file or "above"),
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)
            if self._stopping.is_set():
                return
            await self._spawn_again()

    async def _end(self) -> int | None:
        """Exit status of the process once it has ended; None when it could not be started."""
        if self._process is None:
            return None
        status = await self._process.wait()
        child.kill_group(self._process)
        self._process = None
        return status

    async def _spawn_again(self) -> None:
        try:
            process = await self._spawn()
        except OSError:
            log.exception("process could not be started", name=self._spec.name)
            return
        if self._stopping.is_set():  # stop() came while there was nothing to stop
            await child.stop(process, grace_s=self._grace_s)
