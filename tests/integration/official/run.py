"""One run of the client's own tests in a process of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from .live import CONTROL

PLUGIN = Path(__file__).with_name("plugin.py")
_LIMIT_S = 240


@dataclass(frozen=True)
class Outcome:
    """What became of one test: passed, skipped (by its authors), expected (to fail) or failed."""

    test: str
    outcome: str
    reason: str
    asked: tuple[tuple[str, int], ...]
    """Requests that reached the server, and the statuses of the answers."""


def run(
    root: Path, paths: Iterable[Path], expected: Mapping[str, str], url: str, scratch: Path
) -> tuple[Outcome, ...]:
    """Run the tests in ``paths`` below ``root`` against the server at ``url``.

    ``expected`` maps tests that have to fail to the reason. ``scratch`` is an empty folder.
    """
    order, outcome = scratch / "run.json", scratch / "outcome.json"
    order.write_text(
        json.dumps({"control": f"{url}{CONTROL}", "expected": expected, "outcome": str(outcome)})
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(scratch),
        "PYTHONPATH": os.pathsep.join([str(root), str(PLUGIN.parent)]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "OFFICIAL_RUN": str(order),
        "TEST_API_BASE_URL": f"{url}/v1",
    }
    command = [sys.executable, "-m", "pytest", "-p", PLUGIN.stem, "-p", "pytest_asyncio.plugin"]
    command += ["-p", "no:cacheprovider"]
    command += ["-o", "addopts=", "-q", "--tb=native", *map(str, paths)]
    done = subprocess.run(
        command,
        cwd=root,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
    )
    ended = done.returncode in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    assert ended, f"the tests did not run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return tuple(
        Outcome(test, what["outcome"], what["reason"], tuple(map(tuple, what["asked"])))
        for test, what in json.loads(outcome.read_text()).items()
    )
