"""Real processes: a child ends with its parent, whatever ends the parent."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import alive
from tunery_server.processes import child
from tunery_server.processes.death import bound

PARENT = """
import subprocess, sys, time
from tunery_server.processes.death import bound
command = [sys.executable, "-c", {child!r}]
import signal
child = subprocess.Popen(bound(command, signal.{signal}), stdout=subprocess.PIPE)
print(child.pid, child.stdout.readline().decode(), flush=True)
time.sleep(600)
"""

SLEEPS = "import time; print('up', flush=True); time.sleep(600)"
SAYS_GOODBYE = """
import pathlib, signal, sys, time
def end(*_):
    pathlib.Path({path!r}).write_text("goodbye")
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(600)
"""


def parent_of(script: str, death_signal: str) -> tuple["subprocess.Popen[bytes]", int]:
    code = PARENT.format(child=script, signal=death_signal)
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline().split()[0])
    return parent, pid


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while alive([pid]):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.01)


@pytest.mark.promise("P25", fault="SIGKILL of any parent")
async def test_a_child_dies_when_its_parent_is_killed() -> None:
    parent, pid = parent_of(SLEEPS, "SIGKILL")
    assert alive([pid])
    parent.kill()
    parent.wait()
    await gone(pid)


async def test_a_child_may_ask_for_a_signal_that_it_can_handle(tmp_path: Path) -> None:
    said = tmp_path / "said"
    parent, pid = parent_of(SAYS_GOODBYE.format(path=str(said)), "SIGTERM")
    parent.kill()
    parent.wait()
    await gone(pid)
    assert said.read_text() == "goodbye"


def test_a_child_that_starts_too_late_dies_at_once() -> None:
    """The parent was gone before the child could bind to it."""
    command = bound([sys.executable, "-c", "print('still here')"])
    command[4] = str(os.getpid() + 1 if os.getppid() != os.getpid() + 1 else 1)
    ended = subprocess.run(command, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == b""


class TestChild:
    async def test_stopping_gives_the_status(self) -> None:
        process = await child.start([sys.executable, "-c", SLEEPS], os.environ)
        assert await child.stop(process, grace_s=10) == -signal.SIGTERM

    async def test_a_process_that_does_not_listen_is_killed(self) -> None:
        deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
        process = await child.start(
            [sys.executable, "-c", deaf], os.environ, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        await process.stdout.readline()
        assert await child.stop(process, grace_s=0.05) == -signal.SIGKILL

    async def test_grandchildren_go_with_it(self) -> None:
        forks = f"""
import subprocess, sys, time
command = [sys.executable, "-c", {SLEEPS!r}]
print(subprocess.Popen(command, stdout=subprocess.DEVNULL).pid, flush=True)
time.sleep(600)
"""
        process = await child.start(
            [sys.executable, "-c", forks], os.environ, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        grandchild = int(await process.stdout.readline())
        await child.stop(process, grace_s=10)
        await gone(grandchild)

    async def test_stopping_twice_is_harmless(self) -> None:
        process = await child.start([sys.executable, "-c", "pass"], os.environ)
        await process.wait()
        assert await child.stop(process, grace_s=1) == 0
        child.kill_group(process)

    async def test_only_the_given_environment_is_there(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_OF_OURS", "x")
        script = "import os; print(sorted(os.environ))"
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        process = await child.start(
            [sys.executable, "-c", script], kept, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        assert b"PATH" in said
        assert b"SECRET_OF_OURS" not in said


def test_a_child_that_crashes_leaves_no_core_file() -> None:
    limit = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"
    command = bound([sys.executable, "-c", limit])
    assert subprocess.check_output(command, text=True).strip() == "(0, 0)"
