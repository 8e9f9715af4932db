"""What a running server shows to the outside, and what it writes down."""

import os
import socket
from pathlib import Path

import pytest
from openai.types.fine_tuning import FineTuningJob

from tests.servers import RunningServer, descendants

pytestmark = pytest.mark.engine

PROMPT = "Zanzibar is an island. Is Zanzibar an island?"
_LISTEN = "0A"
"""TCP_LISTEN in /proc/net/tcp (include/net/tcp_states.h)."""


def listening_sockets() -> dict[str, int]:
    """Inode and port of every TCP socket that listens on this machine."""
    found = {}
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else []:
            fields = line.split()
            if fields[3] == _LISTEN:
                found[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    return found


def ports_of(pid: int, listening: dict[str, int]) -> set[int]:
    folder = Path(f"/proc/{pid}/fd")
    targets = {os.readlink(link) for link in folder.iterdir()}  # noqa: PTH115 - not a path
    return {port for inode, port in listening.items() if f"socket:[{inode}]" in targets}


def test_only_the_gateway_listens_on_a_port(server: RunningServer) -> None:
    """The engine and Valkey are on Unix sockets; torch may open one on loopback for itself."""
    listening = listening_sockets()
    [gateway] = server.pids("tunery_server gateway")
    others = set(descendants(server.process.pid)) - {gateway}
    assert ports_of(gateway, listening) == {server.port}
    assert len(others) >= 3
    for pid in others:
        assert not {port for port in ports_of(pid, listening) if from_outside(port)}
    private = [*server.pids("tunery_server.engine.launch"), *server.pids("valkey-server")]
    assert len(private) >= 2
    for pid in private:
        assert not ports_of(pid, listening)


def from_outside(port: int) -> bool:
    """Whether a port answers on this machine's own address, not on loopback alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends no packet: it only chooses our own address
        address = probe.getsockname()[0]
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((address, port)) == 0


def test_the_engines_socket_and_the_keys_are_this_users_alone(server: RunningServer) -> None:
    for folder in (server.home, server.home / "run"):
        assert folder.stat().st_mode & 0o077 == 0, folder
    for secret in (server.home / "admin.key", server.home / "run" / "engine.key"):
        assert secret.stat().st_mode & 0o077 == 0, secret


def test_no_child_sees_a_setting_that_is_not_its_own(server: RunningServer) -> None:
    for pid in server.pids("tunery_server.engine.launch"):
        environment = Path(f"/proc/{pid}/environ").read_bytes().decode()
        assert "TUNERY_" not in environment
        assert server.key not in environment


@pytest.mark.training
def test_prompts_rows_and_keys_are_in_no_log(
    server: RunningServer, lora_job: FineTuningJob
) -> None:
    client = server.client()
    chat = [{"role": "user", "content": PROMPT}]
    for stream in (False, True):
        answer = server.http().post(
            "/v1/chat/completions",
            json={"model": client.models.list().data[0].id, "messages": chat, "stream": stream},
        )
        assert answer.status_code == 200
    server.http().post("/v1/chat/completions", json={"model": PROMPT, "messages": chat})
    logs = [*server.logs(), *server.home.glob("jobs/*/trainer.log")]
    assert len(logs) >= 2
    for log in logs:
        text = log.read_text(errors="replace")
        assert text or log.name == "trainer.log"
        for secret in (
            "Zanzibar",
            "Arrr",
            server.key,
            (server.home / "run" / "engine.key").read_text(),
        ):
            assert secret not in text, log
    events = client.fine_tuning.jobs.list_events(lora_job.id, limit=100)
    assert not any("Arrr" in event.message for event in events)
