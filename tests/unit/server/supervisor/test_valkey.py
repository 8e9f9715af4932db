"""The embedded Valkey, started for real."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests.queues import an_entry, in_line
from tunery_server.errors import ConfigError
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.supervisor.valkey import check_socket_path, hold_alone, valkey_command


@contextmanager
def running(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", "redis.Redis"]]:
    socket = folder / "v.sock"
    process = subprocess.Popen(valkey_command(folder, socket), stdout=subprocess.DEVNULL)
    client = redis.Redis(unix_socket_path=str(socket))
    deadline = time.monotonic() + 20
    while True:
        try:
            client.ping()
            break
        except redis.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    try:
        yield process, client
    finally:
        process.kill()
        process.wait()


@pytest.mark.promise("P1", fault="the embedded Valkey is killed with 100 jobs in line")
def test_what_was_confirmed_survives_a_kill(tmp_path: Path) -> None:
    with running(tmp_path) as (process, client):
        queue = RedisQueue(client, lease_s=60)
        for number in range(100):
            queue.enqueue(an_entry(f"job-{number:02}", created_at=number))
        lease = queue.claim(wait_s=0)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert lease is not None
    with running(tmp_path) as (_, client):
        queue = RedisQueue(client, lease_s=60)
        assert len(in_line(queue, [f"job-{number:02}" for number in range(100)])) == 99
        assert queue.leased() == {"job-00"}
        assert queue.renew(lease)


def test_it_is_reached_by_this_user_alone_and_forgets_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as (process, client):
        assert (tmp_path / "v.sock").stat().st_mode & 0o077 == 0
        policy, persisted = client.config_get("maxmemory-policy"), client.config_get("appendonly")
        assert "noeviction" in str(policy)
        assert "yes" in str(persisted)
        assert listening(process.pid) == []


def test_one_server_writes_into_a_folder(tmp_path: Path) -> None:
    lock = hold_alone(tmp_path)
    with pytest.raises(ConfigError, match="Another server"):
        hold_alone(tmp_path)
    os.close(lock)
    os.close(hold_alone(tmp_path))


def test_a_socket_path_that_is_too_long_is_refused() -> None:
    check_socket_path(Path("/home/ann/.local/share/tunery/run/valkey.sock"))
    with pytest.raises(ConfigError, match="TUNERY_HOME"):
        check_socket_path(Path("/" + "x" * 120))


def listening(pid: int) -> list[str]:
    """TCP sockets that a process listens on (state 0A in /proc/net/tcp)."""
    inodes = {
        str(entry.readlink()).removeprefix("socket:[").removesuffix("]")
        for entry in Path(f"/proc/{pid}/fd").iterdir()
    }
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return [line[1] for line in lines if line[3] == "0A" and line[9] in inodes]
