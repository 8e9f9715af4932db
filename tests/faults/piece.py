"""One process of a server under test, to be killed, frozen and started again."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.queues import until
from tests.servers import alive, descendants
from tunery_adapters.fault import VARIABLE
from tunery_server.processes.death import bound

ROOT = Path(__file__).resolve().parents[2]
_END_S = 90.0
"""A worker lets its trainer write a checkpoint first."""


class Piece:
    """``start`` and ``stop`` may be called again and again; all output goes to one log."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self._command = list(command)
        self._environment = dict(environment)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self, fault: str | None = None) -> None:
        """Start it, to fail as ``TUNERY_TEST_FAULT`` says (``job.claimed:kill``).

        It dies with the thread that starts it.
        """
        assert not self.running, f"{self.name} runs already"
        environment = self._environment | ({VARIABLE: fault} if fault else {})
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                bound(self._command), env=environment, stdout=output, stderr=output, cwd=ROOT
            )

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        return self._end(signal.SIGTERM)

    def ask_to_end(self) -> None:
        """SIGTERM, and do not wait."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to it alone; what it started is to notice by itself."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wait_killed(self, within_s: float) -> None:
        """Return once a fault has killed it."""
        until(lambda: not self.running, within_s=within_s)
        assert self._process is not None
        assert self._process.returncode == -signal.SIGKILL, self.log[-3000:]

    def children(self, text: str = "") -> list[int]:
        """Living processes that it started, however deep, whose command line holds ``text``."""
        return alive(pid for pid, line in descendants(self.pid).items() if text in line)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self.running:
            os.kill(self.pid, signal.SIGCONT)
            self._process.send_signal(number)
        return self._process.wait(_END_S)
