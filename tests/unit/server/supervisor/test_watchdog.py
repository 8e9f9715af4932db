"""Whom the watchdog kills, and whom it leaves alone."""

import pytest

from tunery_server.errors import EngineRefused, EngineUnavailable
from tunery_server.supervisor.watchdog import Watchdog

Felt = bool | Exception


class Engine:
    """A process whose pulses are as a test says."""

    def __init__(self, *pulses: Felt) -> None:
        self.pulses = list(pulses)
        self.pid: int | None = 1
        self.killed: list[int | None] = []

    async def pulse(self) -> bool:
        felt = self.pulses.pop(0)
        if isinstance(felt, Exception):
            raise felt
        return felt

    def kill(self) -> None:
        self.killed.append(self.pid)

    async def watched(self) -> list[int | None]:
        watchdog = Watchdog(self, self.pulse)
        while self.pulses:
            await watchdog.look()
        return self.killed


@pytest.mark.promise("P17", fault="the engine takes connections and computes nothing")
async def test_one_that_was_alive_and_is_not_is_killed_once() -> None:
    assert await Engine(True, True, False, False).watched() == [1]


@pytest.mark.promise("P17", fault="a busy engine, one that starts, one that answers with errors")
@pytest.mark.parametrize(
    "pulses",
    [
        [True, True, True],
        [False, False, True],
        [True, EngineUnavailable("nobody listens"), EngineUnavailable("nobody listens")],
        [True, EngineRefused("an error of its own", status=500), True],
    ],
    ids=["busy", "not yet alive", "starting", "errors"],
)
async def test_others_are_left_alone(pulses: list[Felt]) -> None:
    assert await Engine(*pulses).watched() == []


async def test_a_new_process_has_to_be_felt_first() -> None:
    engine = Engine(True, False)
    watchdog = Watchdog(engine, engine.pulse)
    await watchdog.look()
    engine.pid = 2
    await watchdog.look()
    assert engine.killed == []
