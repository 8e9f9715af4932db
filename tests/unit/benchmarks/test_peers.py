"""Peers' environments: what they are called, and what is said when they cannot be had."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.proxies import Endpoint


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that install; they fail for packages that do not exist."""
    ran: list[list[str]] = []

    def run(command: list[str], **_: object) -> "subprocess.CompletedProcess[bytes]":
        ran.append(command)
        return subprocess.CompletedProcess(command, int("absent==1" in command))

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(
        peers.venv, "create", lambda folder, **_: folder.mkdir(parents=True, exist_ok=True)
    )
    monkeypatch.setattr(peers.subprocess, "run", run)
    return ran


def test_an_environment_is_made_once(pip: list[list[str]], tmp_path: Path) -> None:
    python = peers.python_with("peer[extra]==1")
    assert peers.python_with("peer[extra]==1") == python
    assert python.is_relative_to(tmp_path / "tunery" / "benchmarks")
    assert [command[-1] for command in pip] == ["peer[extra]==1"]


def test_each_version_has_its_own(pip: list[list[str]]) -> None:
    assert peers.python_with("peer==1") != peers.python_with("peer==2")
    assert len(pip) == 2


def test_a_peer_that_cannot_be_had_says_what_to_do_and_is_tried_again(
    pip: list[list[str]],
) -> None:
    for _ in range(2):
        with pytest.raises(SystemExit, match="package index"):
            peers.python_with("absent==1")
    assert len(pip) == 2


def test_cpu_time_of_a_process_counts_what_it_computes() -> None:
    busy = subprocess.Popen(
        [sys.executable, "-c", "sum(range(2_000_000)); print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert busy.stdout is not None
    busy.stdout.readline()
    spent = Endpoint(url="", key="", pid=busy.pid).cpu_s
    busy.communicate(b"\n")
    assert 0.01 < spent < 10
