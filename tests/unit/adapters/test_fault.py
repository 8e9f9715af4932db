"""Named points: nothing without the variable, one process fewer with it."""

import os
import signal
import subprocess
import sys

import pytest

from tunery_adapters import fault
from tunery_adapters.fault import ACTIONS, VARIABLE, Point, parse

REACHING = """
from tunery_adapters import fault
for step in range(3):
    print(step, flush=True)
    fault.point(fault.Point.TRAIN_STEP)
    fault.point(fault.Point.TRAIN_DONE)
"""

STARTING = """
import subprocess, sys
from tunery_server.processes.death import bound
subprocess.run(bound([sys.executable, "-c", sys.argv[1]]))
"""

MISTAKES = [
    *("", "kill", "job.claimed", "no.point:kill"),
    *("job.claimed:burn", "job.claimed:kill,"),
]


def reaching(setting: str | None) -> "subprocess.Popen[str]":
    environment = os.environ | ({VARIABLE: setting} if setting else {})
    command = [sys.executable, "-c", REACHING]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def test_a_value_names_a_point_a_time_and_an_action() -> None:
    first, second = parse("train.step@5:kill,job.claimed:stop")
    assert (first.point, first.count, first.action) == (Point.TRAIN_STEP, 5, "kill")
    assert (second.point, second.count, second.action) == (Point.JOB_CLAIMED, 1, "stop")


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_no_silent_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_a_process_that_is_to_fail_in_a_way_that_there_is_not_does_not_start() -> None:
    with reaching("train.step:burn") as process:
        assert process.communicate(timeout=30)[0] == ""
    assert process.returncode == 1


def test_nothing_happens_without_the_variable() -> None:
    assert fault.armed == ()
    for point in Point:
        fault.point(point)
    with reaching(None) as process:
        assert process.communicate(timeout=30)[0].split() == ["0", "1", "2"]
    assert process.returncode == 0


@pytest.mark.parametrize(("action", "status"), [("kill", -signal.SIGKILL), ("exit", 1)])
def test_a_process_ends_at_its_point_the_time_that_was_said(action: str, status: int) -> None:
    with reaching(f"train.step@2:{action}") as process:
        assert process.communicate(timeout=30)[0].split() == ["0", "1"]
    assert process.returncode == status


def test_a_process_freezes_and_goes_on() -> None:
    with reaching("train.done@3:stop") as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=30)[0].split() == ["0", "1", "2"]
    assert process.returncode == 0


def test_a_thread_hangs() -> None:
    with reaching("train.step@3:hang") as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(3)] == ["0", "1", "2"]
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.kill()


def test_a_process_takes_its_parent_with_it() -> None:
    environment = os.environ | {VARIABLE: "train.step:kill_parent"}
    command = [sys.executable, "-c", STARTING, REACHING]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.communicate(timeout=30)[0].split() == ["0"]
    assert parent.returncode == -signal.SIGKILL


def test_every_action_is_tried() -> None:
    assert set(ACTIONS) == {"kill", "kill_parent", "stop", "hang", "exit"}
