"""Starting ``tunery serve`` for a test, and looking into it from outside."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from openai import OpenAI

MODEL_NAME = "smollm2-135m-instruct"
_READY_S = 400.0
_STOP_S = 120.0


@dataclass
class RunningServer:
    """A server's processes and how to reach it."""

    home: Path
    port: int
    log: Path
    environment: dict[str, str] = field(repr=False)
    process: subprocess.Popen[bytes] = field(init=False, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return (self.home / "admin.key").read_text().strip()

    def client(self, *, key: str | None = None, strict: bool = True) -> OpenAI:
        """The stock client; a strict one refuses an answer that is not as OpenAI's types say."""
        return OpenAI(
            base_url=f"{self.url}/v1",
            api_key=key or self.key,
            max_retries=0,
            _strict_response_validation=strict,
        )

    def http(self) -> httpx2.Client:
        return httpx2.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=60
        )

    def new_key(self, tenant: str) -> str:
        """A key of another tenant, made by the command."""
        command = [sys.executable, "-m", "tunery_server", "keys", "create", "test"]
        made = subprocess.run(
            [*command, "--tenant", tenant],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return made.stdout.strip()

    def wait_ready(self, timeout_s: float = _READY_S) -> None:
        """Return when /readyz says so; fail with the log when the server ends before."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"{self.url}/readyz").status_code == httpx2.codes.OK:
                    return
            time.sleep(0.2)
        raise AssertionError(f"the server did not become ready:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of the server's log and of the engine's."""
        texts = [path.read_text(errors="replace") for path in self.logs() if path.exists()]
        return "\n\n".join("\n".join(text.splitlines()[-30:]) for text in texts)

    def logs(self) -> list[Path]:
        return [self.log, self.home / "engine.log"]

    def pids(self, text: str) -> list[int]:
        """Processes of this server whose command line holds ``text``."""
        return [pid for pid, line in descendants(self.process.pid).items() if text in line]

    def start(self) -> None:
        """Start the processes, the first time or again on the same data."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tunery_server", "serve"],
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def stop(self) -> int:
        """SIGTERM, and wait for the end."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_S)


@contextlib.contextmanager
def start_server(home: Path, *, model: Path, **settings: str) -> Iterator[RunningServer]:
    """Start a server on ``home``; it and all of its processes are gone afterwards."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TUNERY_")},
        "TUNERY_HOME": str(home),
        "TUNERY_PORT": str(port),
        "TUNERY_MODEL": str(model),
        "TUNERY_SERVED_MODEL_NAME": MODEL_NAME,
        **settings,
    }
    server = RunningServer(home, port, home / "serve.log", environment)
    server.start()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            try:
                server.stop()
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()


def descendants(pid: int) -> dict[int, str]:
    """Process ids and command lines of everything that ``pid`` started, however deep."""
    children: dict[int, list[int]] = {}
    lines: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(stat[1]), []).append(int(folder.name))
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                lines[int(folder.name)] = line
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found[child] = lines.get(child, "")
            waiting.append(child)
    return found


def alive(pids: Iterable[int]) -> list[int]:
    """Those that still run; a zombie does not."""
    return [pid for pid in pids if _state(pid) not in {None, "Z"}]


def _state(pid: int) -> str | None:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
