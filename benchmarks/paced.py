"""Trainers in processes of their own, that train when they are told to."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True, slots=True)
class Paced:
    """One trainer over one job; benchmarks/trainers.py is its other end."""

    name: str
    process: "subprocess.Popen[str]"
    log: Path

    def take(self, steps: int) -> dict[str, Any]:
        """Train for so many steps; what they took. Raises RuntimeError with what it last said."""
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError(f"{self.name} has no pipes")
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name} ended: {self.log.read_text()[-2000:]}")
        taken: dict[str, Any] = json.loads(answer)
        return taken


@contextmanager
def paced(name: str, folder: Path) -> Iterator[Paced]:
    """The trainer of this name over the job in ``folder``, until the context is left."""
    command = [sys.executable, "-m", "benchmarks.trainers", name, str(folder)]
    log = folder / f"{name}.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **_ENVIRONMENT},
        ) as process,
    ):
        try:
            yield Paced(name, process, log)
        finally:
            process.kill()
