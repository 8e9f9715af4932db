"""A Valkey or a Redis of a test's own, to be killed and started again on what it has written."""

import shutil
import subprocess
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.queues import until
from tunery_server.supervisor.valkey import valkey_command

KINDS = ("valkey", "redis-server")


class RedisServer:
    """As the server itself starts its own; ``options`` (``--appendonly="no"``) change that."""

    def __init__(self, kind: str, folder: Path, **options: str) -> None:
        command = valkey_command(folder, folder / "redis.sock")
        changes = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._command = [_binary(kind, command[0]), *command[1:], *changes]
        self.url = f"unix://{folder / 'redis.sock'}"
        self.client = redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until(self._answers, within_s=20)

    def kill(self) -> None:
        """SIGKILL: it saves nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def fill(self) -> None:
        """From here on there is no memory for anything more."""
        self.client.config_set("maxmemory", "1")

    def make_room(self) -> None:
        self.client.config_set("maxmemory", "0")

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


def _binary(kind: str, bundled: str) -> str:
    if kind == "valkey":
        return bundled
    found = shutil.which(kind)
    if found is None:
        pytest.skip(f"there is no {kind} on the PATH (Debian: apt-get install {kind})")
    return found
