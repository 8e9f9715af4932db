"""The demo as a process. Its server is a stand-in: the real one is tested by integration."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from own_server import OwnServer

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "record.json"


@pytest.fixture
def environment(tmp_path: Path, record: Path) -> dict[str, str]:
    """A process's environment in which ``tunery serve`` is the stand-in."""
    info = tmp_path / "stand_in-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tunery.commands]\nserve = client.stand_in:serve\n")
    path = [str(tmp_path), str(ROOT / "tests" / "unit"), str(EXAMPLES)]
    inherited = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*path, *([inherited] if inherited else [])]),
        "STAND_IN_RECORD": str(record),
        "TMPDIR": str(tmp_path),
    }


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Start the demo on a stand-in of some manner; none outlives the test."""
    demos: list[subprocess.Popen[str]] = []

    def start(manner: str) -> subprocess.Popen[str]:
        demo = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "demo.py")],
            env={**environment, "STAND_IN": manner},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        demos.append(demo)
        return demo

    yield start
    for demo in demos:
        demo.terminate()
        demo.communicate()


def assert_nothing_is_left(record: Path) -> None:
    *processes, home = json.loads(record.read_text())
    assert not Path(home).exists()
    _wait_until(lambda: not any(map(_is_alive, processes)), deadline_s=5)


def _wait_until(holds: Callable[[], bool], deadline_s: float = 60) -> None:
    end = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # killed, and not yet collected by whoever adopted it


def test_it_shows_answers_scores_and_times(start: Start, record: Path) -> None:
    demo = start("good")
    said = demo.communicate(timeout=60)[0]
    assert demo.returncode == 0, said
    assert "step 2/2  loss 0.750" in said
    assert said.count("- I am happy to help!\t+ ") == 54
    assert "base\t0.0%\nadapter\t100.0%" in said
    assert "training\t2.5 s\nlast optimiser step, to the adapter published\t0.2 s\n" in said
    assert "last optimiser step, to its first token\t" in said
    assert_nothing_is_left(record)


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("poor", "The demo failed: the adapter gained 0.0%, less than 50%."),
        ("failing", "The demo failed: fine-tuning job ftjob-1 failed (trainer_error): it broke"),
    ],
)
def test_it_says_why_it_failed(start: Start, record: Path, manner: str, reason: str) -> None:
    demo = start(manner)
    said = demo.communicate(timeout=60)[0]
    assert demo.returncode == 1
    assert reason in said
    assert "Traceback" not in said
    assert_nothing_is_left(record)


def test_a_server_that_does_not_come_up_is_shown_with_its_log(start: Start, tmp_path: Path) -> None:
    demo = start("dying")
    said = demo.communicate(timeout=60)[0]
    assert demo.returncode == 1
    assert "the server ended with status 3" in said
    assert "stand-in says dying" in said
    assert not list(tmp_path.glob("tunery-demo-*"))


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_leaves_nothing_behind(
    start: Start, record: Path, number: int, status: int
) -> None:
    demo = start("good")
    _wait_until(record.exists)
    demo.send_signal(number)
    said = demo.communicate(timeout=60)[0]
    assert demo.returncode == status, said
    assert "Traceback" not in said
    assert_nothing_is_left(record)


def test_a_server_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    deaf = "trap '' TERM; sleep 600 & echo $!; wait; wait"
    process = subprocess.Popen(
        ["/bin/sh", "-c", deaf], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout
    child = int(process.stdout.readline())
    OwnServer(process, tmp_path, port=1, drain_s=0.2).stop()
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL
    _wait_until(lambda: not _is_alive(child), deadline_s=5)
