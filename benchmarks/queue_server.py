"""A server of its own for a measurement, in memory alone."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tunery_server.supervisor.valkey import valkey_command


@contextmanager
def running_server(binary: str | None = None) -> Iterator["redis.Redis"]:
    """A client of a fresh server, which is gone afterwards: the bundled Valkey, or ``binary``."""
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "queue.sock"
        command = valkey_command(Path(folder), socket)
        if binary is not None:
            command = [binary, "--port", "0", "--unixsocket", str(socket), "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            yield _answering(redis.Redis(unix_socket_path=str(socket)))
        finally:
            process.kill()
            process.wait()


def _answering(client: "redis.Redis") -> "redis.Redis":
    for _ in range(1000):
        try:
            client.ping()
            return client
        except redis.ConnectionError:
            time.sleep(0.01)
    raise RuntimeError("the server does not start")
