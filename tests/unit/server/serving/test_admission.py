import asyncio
from collections.abc import Callable

import pytest

from tunery_server.errors import Overloaded
from tunery_server.serving.admission import Admission
from tunery_server.serving.slots import Slots


def admission_of(**bounds: int) -> Admission:
    return Admission(**bounds, slots=Slots(1))


class Guest:
    """Takes a place and stays until told to go."""

    def __init__(self, admission: Admission, *, background: bool = False) -> None:
        self.inside = asyncio.Event()
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._visit(admission, background))

    async def _visit(self, admission: Admission, background: bool) -> None:
        async with admission.place(background=background):
            self.inside.set()
            await self.leave.wait()


async def settled() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


def inside(guests: list[Guest]) -> list[bool]:
    return [guest.inside.is_set() for guest in guests]


async def test_places_then_the_line_then_refusal() -> None:
    admission = admission_of(places=2, line=1)
    guests = [Guest(admission) for _ in range(3)]
    await settled()
    assert [guest.inside.is_set() for guest in guests] == [True, True, False]
    with pytest.raises(Overloaded):
        async with admission.place():
            pass
    guests[0].leave.set()
    await settled()
    assert guests[2].inside.is_set()
    for guest in guests:
        guest.leave.set()
    await asyncio.gather(*(guest.task for guest in guests))


async def test_first_come_first_served() -> None:
    admission = admission_of(places=1, line=10)
    guests = [Guest(admission) for _ in range(5)]
    for place, guest in enumerate(guests):
        await settled()
        inside = [other.inside.is_set() for other in guests]
        assert inside == [number <= place for number in range(5)]
        guest.leave.set()


@pytest.mark.parametrize("leaving", [lambda guest: guest.task.cancel(), lambda g: g.leave.set()])
async def test_a_place_is_given_back_however_one_leaves(
    leaving: Callable[[Guest], object],
) -> None:
    admission = admission_of(places=1, line=0)
    for _ in range(3):
        guest = Guest(admission)
        await settled()
        assert guest.inside.is_set()
        leaving(guest)
        await asyncio.wait({guest.task})


async def test_who_gives_up_waiting_leaves_the_line() -> None:
    admission = admission_of(places=1, line=1)
    first = Guest(admission)
    for _ in range(3):
        waiting = Guest(admission)
        await settled()
        waiting.task.cancel()
        await asyncio.wait({waiting.task})
    last = Guest(admission)
    first.leave.set()
    await settled()
    assert last.inside.is_set()


async def test_whoever_comes_is_served_before_the_whole_background_line() -> None:
    admission = admission_of(places=3, line=10)
    lines = [Guest(admission, background=True) for _ in range(6)]
    await settled()
    assert inside(lines) == [True, True, False, False, False, False]
    clients = [Guest(admission) for _ in range(3)]
    await settled()
    assert inside(clients) == [True, False, False]
    for line in lines[:2]:
        line.leave.set()
    await settled()
    assert inside(clients) == [True, True, True]
    clients[0].leave.set()
    await settled()
    assert inside(lines[2:]) == [False] * 4, "the last free place waits for a client"
    clients[1].leave.set()
    await settled()
    assert inside(lines[2:]) == [True, False, False, False]


async def test_the_background_has_the_only_place_while_nobody_else_wants_it() -> None:
    admission = admission_of(places=1, line=0)
    lines = [Guest(admission, background=True) for _ in range(2)]
    await settled()
    assert inside(lines) == [True, False]
    lines[0].leave.set()
    await settled()
    assert inside(lines) == [True, True]


async def test_the_background_takes_nothing_from_the_line() -> None:
    admission = admission_of(places=2, line=1)
    lines = [Guest(admission, background=True) for _ in range(5)]
    clients = [Guest(admission) for _ in range(2)]
    await settled()
    assert inside(clients) == [True, False]
    with pytest.raises(Overloaded):
        async with admission.place():
            pass
    for guest in [*lines, *clients]:
        guest.leave.set()
    await asyncio.gather(*(guest.task for guest in [*lines, *clients]))


@pytest.mark.parametrize("background", [False, True])
async def test_a_place_granted_to_whoever_gave_up_goes_to_the_next(background: bool) -> None:
    admission = admission_of(places=1, line=10)
    first = Guest(admission)
    waiting = [Guest(admission, background=background) for _ in range(2)]
    await settled()
    first.leave.set()
    await asyncio.wait({first.task})
    waiting[0].task.cancel()
    await settled()
    assert waiting[1].inside.is_set()
