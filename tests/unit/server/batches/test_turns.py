import asyncio

from tunery_server.batches.turns import Turns


class Line:
    """Takes a turn and keeps it until told to end."""

    def __init__(self, turns: Turns, tenant: str, name: str, order: list[str]) -> None:
        self.end = asyncio.Event()
        self.task = asyncio.create_task(self._run(turns, tenant, name, order))

    async def _run(self, turns: Turns, tenant: str, name: str, order: list[str]) -> None:
        await turns.take(tenant)
        order.append(name)
        await self.end.wait()
        turns.give_back()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def run_through(turns: Turns, *lines: tuple[str, str]) -> list[str]:
    """The order in which lines (tenant, name) that all wait get their turn, one by one."""
    order: list[str] = []
    first = Line(turns, "nobody", "first", [])
    await settled()
    waiting = {name: Line(turns, tenant, name, order) for tenant, name in lines}
    await settled()
    first.end.set()
    for index in range(len(lines)):
        await settled()
        waiting[order[index]].end.set()
    return order


async def test_one_tenants_lines_go_in_order_of_asking() -> None:
    assert await run_through(Turns(1), ("a", "1"), ("a", "2"), ("a", "3")) == ["1", "2", "3"]


async def test_tenants_alternate_however_much_one_asks_for() -> None:
    lines = [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2")]
    assert await run_through(Turns(1), *lines) == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_no_more_at_once_than_places() -> None:
    order: list[str] = []
    turns = Turns(2)
    lines = [Line(turns, "a", str(number), order) for number in range(4)]
    await settled()
    assert order == ["0", "1"]
    lines[1].end.set()
    await settled()
    assert order == ["0", "1", "2"]


async def test_whoever_gives_up_passes_its_turn_on() -> None:
    order: list[str] = []
    turns = Turns(1)
    lines = [Line(turns, "a", str(number), order) for number in range(3)]
    await settled()
    turns.give_back()
    lines[1].task.cancel()  # its turn was granted a moment ago
    await settled()
    assert order == ["0", "2"]
