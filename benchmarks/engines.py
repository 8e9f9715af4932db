"""vLLM processes to be measured without a gateway, of which one at a time computes."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.servers import free_port

_START_S = 600.0
_LOOK_EVERY_S = 0.5
NO_PLUGINS = {"VLLM_PLUGINS": ""}
"""vLLM as it comes."""
OURS = {"VLLM_PLUGINS": "tunery"}
_QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True, slots=True)
class Engine:
    """One server and its processes, which stand still outside of ``awake``."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @contextmanager
    def awake(self) -> Iterator[None]:
        """It has the machine for itself, as long as no other one is awake."""
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGSTOP)

    def wait(self) -> None:
        """Until it answers. Raises RuntimeError with the end of its log."""
        deadline = time.monotonic() + _START_S
        while self.process.poll() is None and time.monotonic() < deadline:
            with suppress(httpx2.TransportError):
                if httpx2.get(f"{self.url}/health").is_success:
                    return
            time.sleep(_LOOK_EVERY_S)
        lines = self.log.read_text(errors="replace").splitlines()
        raise RuntimeError("the engine did not start:\n" + "\n".join(lines[-30:]))


@contextmanager
def engine(options: Sequence[str], environment: Mapping[str, str]) -> Iterator[Engine]:
    """``vllm serve`` with these options, asleep once it answers; gone afterwards."""
    port = free_port()
    module = "vllm.entrypoints.openai.api_server"
    command = [sys.executable, "-m", module, "--host", "127.0.0.1", "--port", str(port), *options]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "engine.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env={**os.environ, **_QUIET, **environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        started = Engine(f"http://127.0.0.1:{port}", process, log)
        try:
            started.wait()
            with started.awake():
                pass
            yield started
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
