"""The trainer's process, seen from outside."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from tunery_adapters.reports import EXIT_ABANDONED, EXIT_STOPPED, REPORT, AnyReport, Failed, Stopped
from tunery_adapters.spec import TrainingSpec
from tunery_server.processes import child
from tunery_server.processes.environment import for_training
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_GRACE_S = 60.0
_KILLED = -9


class TrainerFailed(Exception):
    """Training ended without an adapter. The arguments become the job's error."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


class TrainerStopped(Exception):
    """The trainer ended early and can go on from its last checkpoint: it was asked to, or alone."""


class Trainer:
    """Runs ``python -m tunery_adapters.training`` at low priority and with bounded threads.

    The process gets no secret, no network and no database, and dies with this one. It ends, too,
    when :meth:`beat` was not called for ``silence_s`` seconds.
    """

    def __init__(
        self, spec: TrainingSpec, folder: Path, *, niceness: int, silence_s: float
    ) -> None:
        self._spec = spec
        self._folder = folder
        self._niceness = niceness
        self._silence_s = silence_s
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    async def reports(self) -> AsyncGenerator[AnyReport, None]:
        """Start the process and hand on what it says, until it has ended well.

        Raises TrainerStopped or TrainerFailed. Leaving early kills the process.
        """
        spec_file = self._folder / "spec.json"
        spec_file.write_text(self._spec.model_dump_json())
        with (self._folder / "trainer.log").open("ab") as errors:
            process = await child.start(
                self._command(spec_file),
                for_training(self._spec.threads),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        self._process = process
        try:
            async for report in _parsed(process):
                if isinstance(report, Failed):
                    raise TrainerFailed(report.code, report.message, report.param)
                if isinstance(report, Stopped):
                    raise TrainerStopped
                yield report
            self._check(await process.wait())
        finally:
            child.kill_group(process)
            with contextlib.suppress(ProcessLookupError):
                await process.wait()

    def stop(self) -> None:
        """Ask for a checkpoint and an early end; killed if it takes too long."""
        if self._process is not None and not self._stopping and self._process.returncode is None:
            self._stopping = True
            self._process.terminate()
            asyncio.get_running_loop().call_later(_GRACE_S, child.kill_group, self._process)

    def beat(self) -> None:
        """Tell the trainer that its worker lives."""
        inward = self._process.stdin if self._process is not None else None
        if inward is not None and not inward.is_closing():
            inward.write(b"\n")

    def _check(self, status: int) -> None:
        """One that is asked to stop while it is starting, or takes too long, dies of a signal."""
        if status in {EXIT_STOPPED, EXIT_ABANDONED} or (self._stopping and status < 0):
            raise TrainerStopped
        if status in {_KILLED, 128 - _KILLED}:
            raise TrainerFailed(
                "out_of_memory",
                "The trainer was killed, most likely because memory ran out, with a batch of "
                f"{self._spec.batch_size} and examples of up to {self._spec.max_length} tokens. "
                "Try a smaller batch_size, shorter examples or a lower rank.",
            )
        if status != 0:
            raise TrainerFailed("trainer_error", f"The trainer ended with status {status}.")

    def _command(self, spec_file: Path) -> list[str]:
        trainer = [sys.executable, "-m", "tunery_adapters.training", str(spec_file)]
        watched = ["--silence", str(self._silence_s)]
        return ["nice", "-n", str(self._niceness), *trainer, *watched]


async def _parsed(process: asyncio.subprocess.Process) -> AsyncGenerator[AnyReport, None]:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    try:
        async for line in process.stdout:
            yield REPORT.validate_json(line)
    except ValueError as error:  # a line that is no report, or has no end
        raise TrainerFailed("trainer_error", "The trainer said something odd.") from error
