"""A real server of S3's protocol for tests: rclone's, over a folder."""

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.queues import until
from tests.servers import free_port

_KEY, _SECRET = "tunery-test-key", "tunery-test-secret"


class ObjectStorage:
    """One bucket, which only signed requests reach; its objects lie in ``objects``."""

    def __init__(self, folder: Path) -> None:
        self.url = "s3://bucket/tunery"
        self.objects = folder / "bucket" / "tunery"
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "bucket").mkdir(parents=True)

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to know."""
        return {
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
        }

    def start(self) -> None:
        """Returns when it answers."""
        command = [
            *(_rclone(), "serve", "s3", str(self._folder)),
            *("--addr", f"127.0.0.1:{self._port}", "--auth-key", f"{_KEY},{_SECRET}"),
            *("--config", "", "--vfs-cache-mode", "off"),
        ]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers, within_s=20)

    def _answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self._port)) == 0

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def object_storage(folder: Path, environment: pytest.MonkeyPatch) -> Iterator[ObjectStorage]:
    """A storage that runs, and that this process knows how to reach; else skips the test."""
    if importlib.util.find_spec("obstore") is None:
        pytest.skip("there is no obstore (the extra s3)")
    storage = ObjectStorage(folder)
    for name, value in storage.environment.items():
        environment.setenv(name, value)
    try:
        storage.start()
        yield storage
    finally:
        storage.kill()


def _rclone() -> str:
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if beside.is_file() else shutil.which("rclone")
    if found is None:
        pytest.skip("there is no rclone (make storage-tools)")
    return found
