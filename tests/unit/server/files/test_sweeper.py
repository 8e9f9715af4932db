import asyncio

import pytest

from tunery_server.files.sweeper import Sweeper


class Sweep:
    """Says when it was run, and fails the first time if it is told to."""

    def __init__(self, *, failing: bool = False) -> None:
        self.runs = 0
        self._failing = failing

    def __call__(self) -> None:
        self.runs += 1
        if self._failing and self.runs == 1:
            raise RuntimeError("the database is locked")


@pytest.mark.parametrize("failing", [True, False])
async def test_it_sweeps_at_once_and_goes_on(failing: bool) -> None:
    one, two, third_round = Sweep(failing=failing), Sweep(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def count() -> None:
        if two.runs == 3:
            loop.call_soon_threadsafe(third_round.set)

    sweeping = asyncio.create_task(Sweeper([one, two, count], interval_s=0).run())
    await asyncio.wait_for(third_round.wait(), 10)
    sweeping.cancel()
    await asyncio.wait({sweeping})
    assert sweeping.cancelled()
    assert one.runs >= 3
