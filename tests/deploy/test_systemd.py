"""The systemd units: one a process, hardened, with time to drain."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from tests.deploy.deployed import DEPLOY, assert_commands, tool, unknown_settings
from tunery_server.config import Settings
from tunery_server.supervisor import serve

UNITS = DEPLOY / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
DROP_IN = UNITS / "tunery-.service.d" / "10-hardening.conf"
DRAIN_S = Settings.model_fields["drain_timeout_s"].default


def options(*files: Path) -> dict[str, list[str]]:
    found = defaultdict(list)
    for file in files:
        for name, value in re.findall(r"^(\w+)=(.*)$", file.read_text(), re.M):
            found[name].append(value)
    return found


def program(unit: Path) -> list[str]:
    [words] = options(unit)["ExecStart"]
    return words.split()


def test_there_is_one_for_each_process() -> None:
    names = [unit.name for unit in SERVICES]
    assert names == [
        f"tunery-{name}.service" for name in ("engine", "gateway", "migrate", "worker")
    ]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_a_unit_runs_a_command_that_there_is(unit: Path) -> None:
    path, *words = program(unit)
    assert path == "/opt/tunery/.venv/bin/tunery"
    assert_commands(words)
    assert unit.stem == f"tunery-{words[0]}"


def test_all_are_hardened_and_read_the_same_settings() -> None:
    common = options(DROP_IN)
    assert common["NoNewPrivileges"] == ["yes"]
    assert common["ProtectSystem"] == ["strict"]
    assert common["CapabilityBoundingSet"] == [""]
    assert common["EnvironmentFile"] == ["-/etc/tunery/tunery.env"]
    names = [pair.partition("=")[0] for line in common["Environment"] for pair in line.split()]
    assert "TUNERY_HOME" in names
    assert not unknown_settings(names)


def test_nothing_is_killed_that_still_drains() -> None:
    stop_s = {u.stem: int((options(u)["TimeoutStopSec"] or ["0"])[0]) for u in SERVICES}
    assert stop_s["tunery-gateway"] >= DRAIN_S + 5
    assert stop_s["tunery-engine"] > DRAIN_S
    assert stop_s["tunery-worker"] > serve._TRAINER_GRACE_S


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    units = tmp_path / "etc" / "systemd" / "system"
    shutil.copytree(UNITS, units)
    system = Path("usr/lib/systemd/system")
    shutil.copytree("/" / system, tmp_path / system, symlinks=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    for unit in SERVICES:
        path = tmp_path / program(unit)[0].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    names = [*(unit.name for unit in SERVICES), "tunery.target"]
    found = subprocess.run(
        [analyze, f"--root={tmp_path}", "verify", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")
