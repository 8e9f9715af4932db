"""The README's own commands, run as they stand against a real server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pirates import pirate_rows
from tests.servers import RunningServer

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
RUN = [block for block in BLOCKS if "export OPENAI_API_KEY" not in block[1]]


@pytest.fixture
def environment(server: RunningServer) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "OPENAI_API_KEY": server.key,
        "TUNERY_HOME": str(server.home),
    }


def test_there_is_something_to_run() -> None:
    assert len(RUN) >= 4


@pytest.mark.parametrize(("language", "code"), RUN)
def test_a_block_runs(
    language: str, code: str, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "train.jsonl").write_bytes(pirate_rows())
    command = [sys.executable, "-c", code] if language == "python" else ["bash", "-ec", code]
    done = subprocess.run(
        command,
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
    assert "error" not in done.stdout.lower()


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)`|^\$ make ([a-z]+)", README, re.MULTILINE))
    assert {a or b for a, b in named} <= targets
    assert named
