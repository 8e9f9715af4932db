import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .scripted_server import ScriptedServer, running

sys.path.append(str(Path(__file__).parents[3] / "examples"))  # as for a program that lies there

_VARIABLES = (
    "TUNERY_BASE_URL", "TUNERY_API_KEY", "TUNERY_HOME", "XDG_DATA_HOME", "OPENAI_BASE_URL",
    "OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "FORCE_COLOR",
)  # fmt: skip


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with running(ScriptedServer()) as server:
        yield server


@pytest.fixture
def reachable(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> ScriptedServer:
    """The server, found through the environment."""
    monkeypatch.setenv("TUNERY_BASE_URL", server.url)
    monkeypatch.setenv("TUNERY_API_KEY", "sk-test")
    return server


@pytest.fixture
def train_file(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_text('{"messages": []}\n')
    return path


class StoppedClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.now += seconds


class StoppedLoopClock(StoppedClock):
    async def sleep(self, seconds: float, /) -> None:  # type: ignore[override]
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    from tunery import Tunery  # noqa: PLC0415

    clock = StoppedClock()
    monkeypatch.setattr(Tunery, "_clock", clock)
    return clock


@pytest.fixture
def loop_clock(monkeypatch: pytest.MonkeyPatch) -> StoppedLoopClock:
    from tunery import AsyncTunery  # noqa: PLC0415

    clock = StoppedLoopClock()
    monkeypatch.setattr(AsyncTunery, "_clock", clock)
    return clock
