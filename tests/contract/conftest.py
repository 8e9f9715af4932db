"""The servers that the queue has to run on."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real Redis, where the machine has one."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("there is no redis-server on the PATH")
    folder = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.sock"
    command = [binary, "--port", "0", "--unixsocket", str(socket), "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    yield f"unix://{socket}"
    process.terminate()
    process.wait(10)


@pytest.fixture(params=["valkey", "redis_server"])
def queue_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url
