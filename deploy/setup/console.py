"""Progress of a set-up: a live line on a terminal, plain lines elsewhere; one child at a time."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

TAIL_LINES = 25
TICK_S = 0.5


class SetupError(Exception):
    """Set-up cannot go on; the message says what a person can do about it."""


class Console:
    """Numbers the steps, times them, and runs their commands.

    ``lock`` is a descriptor that every child inherits, so that the lock outlives a killed
    installer for as long as a child of its still writes.
    """

    def __init__(self, lock: int) -> None:
        self._lock = lock
        self._live = sys.stdout.isatty()
        self._count = 0
        self._title = ""
        self._began = time.monotonic()

    @contextmanager
    def step(self, title: str, of: int) -> Iterator[None]:
        """Show one step ``of`` so many while its body runs, and how long it took."""
        self._count += 1
        self._title = f"[{self._count}/{of}] {title}"
        self._began = time.monotonic()
        self._show("", end="" if self._live else "\n")
        yield
        self._show(f"done in {self._elapsed_s():.1f} s", end="\n")

    def run(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Run a command to its end. Raises SetupError with the end of its output if it fails."""
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            if self._wait(command, output, env) != 0:
                output.seek(0)
                tail = "".join(output.readlines()[-TAIL_LINES:])
                raise SetupError(f"{self._title}: this failed: {' '.join(command)}\n{tail}")

    def _wait(self, command: Sequence[str], output: IO[str], env: Mapping[str, str] | None) -> int:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            pass_fds=(self._lock,),
        )
        try:
            while True:
                try:
                    return process.wait(TICK_S)
                except subprocess.TimeoutExpired:
                    self._tick()
        except BaseException:
            process.terminate()
            process.wait()
            raise

    def _tick(self) -> None:
        if self._live:
            self._show(f"{self._elapsed_s():.0f} s", end="")

    def _show(self, state: str, end: str) -> None:
        start = "\r\x1b[K" if self._live else ""
        print(f"{start}{self._title}  {state}".rstrip(), end=end, flush=True)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began
