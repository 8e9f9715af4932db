"""Supervision of real, tiny processes."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers import alive
from tunery_server.supervisor import restarts
from tunery_server.supervisor import service as module
from tunery_server.supervisor.service import Service, Spec

SLEEPS = "import time; time.sleep(600)"
DEAF = """
import signal, time
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
print('deaf', flush=True)
time.sleep(600)
"""
COUNTS = "import os, sys; print('started', flush=True); sys.exit(3)"


def spec(script: str, log: Path, environment: Callable[[], dict[str, str]] | None = None) -> Spec:
    return Spec(
        name="test",
        command=[sys.executable, "-c", script],
        environment=environment or (lambda: dict(os.environ)),
        log_file=log,
        stop_grace_s=5.0,
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.01)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarts, "FIRST_DELAY_S", 0.0)


async def test_a_process_is_stopped(log: Path) -> None:
    service = Service(spec(SLEEPS, log))
    await service.start()
    pid = service.pid
    assert pid is not None
    assert alive([pid])
    await service.stop()
    assert service.pid is None
    assert not alive([pid])


@pytest.mark.promise("P14", fault="the server is told to end twice, and a process does not")
@pytest.mark.parametrize("told", [1, 2], ids=["before its turn", "while it is waited for"])
async def test_a_stop_can_be_hurried(log: Path, monkeypatch: pytest.MonkeyPatch, told: int) -> None:
    monkeypatch.setattr(module, "_HURRY_S", 0.2)
    service = Service(replace(spec(DEAF, log), stop_grace_s=60.0))
    await service.start()
    await until(lambda: "deaf" in log.read_text())
    if told == 1:
        service.hurry()
    stopping = asyncio.create_task(service.stop())
    await asyncio.sleep(0)
    if told == 2:
        service.hurry()
    async with asyncio.timeout(30):
        await stopping
    assert service.pid is None


@pytest.mark.usefixtures("no_delay")
async def test_a_process_that_is_killed_starts_again(log: Path) -> None:
    service = Service(spec(SLEEPS, log))
    await service.start()
    first = service.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: service.pid not in {None, first})
    assert not alive([first])
    await service.stop()


@pytest.mark.usefixtures("no_delay")
async def test_the_environment_is_asked_for_at_every_start(log: Path) -> None:
    starts: list[str] = []

    def environment() -> dict[str, str]:
        starts.append("x")
        return {**os.environ, "START": str(len(starts))}

    service = Service(spec("import os; print(os.environ['START'], flush=True)", log, environment))
    await service.start()
    await until(lambda: log.exists() and log.read_text().split()[:2] == ["1", "2"])
    await service.stop()


async def test_each_start_comes_later_than_the_last(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The waits are recorded and cut short: no test waits on the clock."""
    waits: list[float] = []

    async def record(waiting: asyncio.Future[object], timeout: float) -> None:  # noqa: ASYNC109
        waits.append(timeout)
        waiting.close()  # type: ignore[attr-defined]
        raise TimeoutError

    monkeypatch.setattr("tunery_server.supervisor.service.asyncio.wait_for", record)
    service = Service(spec(COUNTS, log), timer=lambda: 0.0)
    await service.start()
    await until(lambda: len(waits) >= 9)
    await service.stop()
    assert waits[:9] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


async def test_stopping_while_a_start_is_waited_for(log: Path) -> None:
    service = Service(spec(COUNTS, log))
    await service.start()
    await until(lambda: service.pid is None)
    async with asyncio.timeout(30):
        await service.stop()
    assert service.pid is None


@pytest.mark.usefixtures("no_delay")
async def test_stopping_in_the_middle_of_a_start(log: Path) -> None:
    """The process of that start is not left running, and nothing waits for it without end."""
    stopping: list[asyncio.Task[None]] = []
    starts: list[int] = []

    def environment() -> dict[str, str]:
        starts.append(1)
        if len(starts) == 2:
            stopping.append(asyncio.get_running_loop().create_task(service.stop()))
        return dict(os.environ)

    service = Service(spec(SLEEPS, log, environment))
    await service.start()
    assert service.pid is not None
    os.kill(service.pid, signal.SIGKILL)
    await until(lambda: bool(stopping))
    async with asyncio.timeout(10):
        await stopping[0]
    assert service.pid is None
    assert len(starts) == 2
