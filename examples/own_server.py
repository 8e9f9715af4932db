"""A Tunery server for one program: its own folder and port, gone when the program ends."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

BUNDLED_MODEL = "smollm2-135m-instruct"
_ANOTHERS = ("TUNERY_HOST", "TUNERY_BASE_URL", "TUNERY_API_KEY", "DATABASE_URL", "REDIS_URL")
"""Settings that lead to another server, or to its data. The rest hold for this one too."""


class ServerError(Exception):
    """The server did not come up."""


@dataclass(frozen=True)
class OwnServer:
    """A running server. Its log and its data lie in ``home``."""

    process: subprocess.Popen[bytes]
    home: Path
    port: int
    drain_s: float = 45.0
    """How long it may take to end by itself."""

    @property
    def origin(self) -> str:
        """Its URL, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What a client takes."""
        return f"{self.origin}/v1"

    @property
    def api_key(self) -> str:
        """The admin key that it made."""
        return (self.home / "admin.key").read_text().strip()

    def wait_ready(self, timeout_s: float) -> None:
        """Return when it can answer a chat request. Raises ServerError."""
        end = time.monotonic() + timeout_s
        while not self._is_ready():
            if self.process.poll() is not None:
                raise ServerError(f"the server ended with status {self.process.returncode}")
            if time.monotonic() > end:
                raise ServerError(f"the server was not ready after {timeout_s:.0f} s")
            time.sleep(0.5)

    def log_tail(self, lines: int = 40) -> str:
        """The end of its log."""
        text = (self.home / "server.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def stop(self) -> None:
        """End it and all that it started: first asked, then killed."""
        self.process.terminate()
        try:
            self.process.wait(self.drain_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _is_ready(self) -> bool:
        try:
            return httpx2.get(f"{self.origin}/readyz", timeout=5).is_success
        except httpx2.TransportError:
            return False


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """Start a server; stop it and remove its folder however the block ends."""
    home = Path(tempfile.mkdtemp(prefix="tunery-demo-"))
    try:
        server = _start(home)
        try:
            yield server
        finally:
            _ignore_interrupts()
            server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _start(home: Path) -> OwnServer:
    port = _free_port()
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tunery", "serve"],
            env=_environment(home, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only this program, which then stops it
        )
    return OwnServer(process, home, port)


def _environment(home: Path, port: int) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if key not in _ANOTHERS}
    model = os.environ.get("TUNERY_MODEL") or str(_data_folder() / "models" / BUNDLED_MODEL)
    own = {"TUNERY_HOME": str(home), "TUNERY_PORT": str(port), "TUNERY_MODEL": model}
    # Nobody chats while this server trains, so the trainer may have every core.
    defaults = {"TUNERY_TRAINER_THREADS": str(os.cpu_count() or 1)}
    return {**defaults, **inherited, **own}


def _data_folder() -> Path:
    """Where set-up unpacked the base model."""
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(os.environ.get("TUNERY_HOME") or f"{data}/tunery").expanduser().absolute()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ignore_interrupts() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
