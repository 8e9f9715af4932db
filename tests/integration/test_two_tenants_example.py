"""The example of two tenants, on the real server. Two minutes: three small fine-tunes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import RunningServer

pytestmark = [pytest.mark.engine, pytest.mark.training]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "two_tenants.py"


def test_two_tenants_do_not_see_each_other(server: RunningServer) -> None:
    keys = [server.new_key(tenant) for tenant in ("pirates", "clerks")]
    command = [sys.executable, str(EXAMPLE), f"{server.url}/v1", *keys]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=900, check=False, env=server.environment
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Who answered 60 users" in ran.stdout
