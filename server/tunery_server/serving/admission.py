"""A bounded number of requests inside the engine, a bounded line before it, and a fair order."""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

from tunery_server.errors import Overloaded
from tunery_server.serving.fair_queue import FairQueue, Waiter
from tunery_server.serving.slots import Slots
from tunery_server.telemetry import metrics

_KEPT_FOR_OTHERS = 8
"""While several tenants are about, one in so many places is not for who has all the others."""
_ABOUT_S = 60.0
"""How long after its last request a tenant is about."""


class Place:
    """A place in the engine, held by one request."""

    def __init__(self, waiter: Waiter, queue: FairQueue, waited_s: float) -> None:
        self.waited_s = waited_s
        """How long it was waited for."""
        self._waiter = waiter
        self._queue = queue
        self._expected = waiter.cost

    def took(self, tokens: int) -> None:
        """Say what the request really took, so that its tenant is charged for that."""
        self._queue.charge(self._waiter.tenant, tokens - self._expected)
        self._expected = tokens


class Admission:
    """Lets tenants in by turns, each as far as the tokens that it took allow.

    A full line refuses the newest request of whoever has the most in it. While several tenants are
    about, none of them holds all places. Adapters come in as the engine has slots for them.

    A request in the engine is slowed by all others there, and has its adapter's slot until its
    end. So while tenants wait for slots, none of the others holds more places than belong to a
    slot; and no more than half of that unless others have as many in line, for it is those who ask
    for little that large batches make wait.

    Background requests come after all others: they get a place only while nobody else waits for
    one, and leave the last free place to whoever comes next. Their line has no bound of its own,
    for they are the server's: it starts no more of them than it means to.
    """

    def __init__(
        self,
        *,
        places: int,
        line: int,
        slots: Slots,
        wait_s: float = 600.0,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = places
        self._kept_free = min(1, places - 1)
        self._most = places - places // _KEPT_FOR_OTHERS
        self._of_a_slot = min(self._most, max(1, places // slots.count))
        self._line = line
        self._slots = slots
        self._wait_s = wait_s
        self._timer = timer
        self._inside: Counter[str] = Counter()
        self._asked: OrderedDict[str, float] = OrderedDict()
        self._queue = FairQueue()
        self._turns: dict[Waiter, asyncio.Future[None]] = {}
        self._background: deque[Waiter] = deque()

    @asynccontextmanager
    async def place(
        self,
        *,
        tenant: str = "",
        adapter: str | None = None,
        cost: int = 1,
        background: bool = False,
    ) -> AsyncIterator[Place]:
        """Hold a place in the engine. ``cost`` is in tokens.

        Raises Overloaded when the line is full or the wait too long, but never in the background.
        """
        waiter = Waiter(tenant=tenant, adapter=adapter, cost=cost, since=self._timer())
        with _counted_as_waiting(background):
            await self._wait(waiter, background=background)
        waited_s = self._timer() - waiter.since
        if not background:
            metrics.ADMISSION_WAIT.observe(waited_s)
        try:
            with metrics.REQUESTS_RUNNING.track_inprogress():
                yield Place(waiter, self._queue, waited_s)
        finally:
            self._leave(waiter)

    async def _wait(self, waiter: Waiter, *, background: bool) -> None:
        turn = self._turns[waiter] = asyncio.get_running_loop().create_future()
        if background:
            self._background.append(waiter)
        else:
            self._queue.put(waiter)
        self._asked[waiter.tenant] = waiter.since
        self._asked.move_to_end(waiter.tenant)
        self._admit()
        try:
            if not background and not turn.done():
                self._make_room()
            async with asyncio.timeout(None if background else self._wait_s):
                await turn
        except TimeoutError:
            self._give_up(waiter, turn)
            raise _refused("The request waited too long for a place.") from None
        except BaseException:
            self._give_up(waiter, turn)
            raise
        finally:
            del self._turns[waiter]

    def _make_room(self) -> None:
        """Refuse somebody when more wait than the line holds."""
        if len(self._queue) <= self._line:
            return
        last = self._queue.newest_of_the_longest()
        if last is not None and self._queue.remove(last) and not self._turns[last].done():
            refusal = _refused("All places are taken and the line is full. Try again shortly.")
            self._turns[last].set_exception(refusal)

    def _give_up(self, waiter: Waiter, turn: "asyncio.Future[None]") -> None:
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self._leave(waiter)  # the place was granted, and nobody is there to take it
        elif not self._queue.remove(waiter) and waiter in self._background:
            self._background.remove(waiter)

    def _admit(self) -> None:
        now = self._timer()
        self._forget_who_is_gone(now)
        self._slots.plan(self._queue.heads(), now, self._asked.keys())
        while self._free and (waiter := self._queue.take(self._admits)) is not None:
            self._enter(waiter, now)
        while self._free > self._kept_free and not len(self._queue):
            admitted = (one for one in self._background if self._slots.admits(one))
            if (waiter := next(admitted, None)) is None:
                return
            self._background.remove(waiter)
            self._enter(waiter, now)

    def _forget_who_is_gone(self, now: float) -> None:
        """Who asked last is last."""
        while self._asked and now - next(iter(self._asked.values())) >= _ABOUT_S:
            self._asked.popitem(last=False)

    def _admits(self, waiter: Waiter) -> bool:
        return self._slots.admits(waiter) and self._is_below_its_bound(waiter.tenant)

    def _is_below_its_bound(self, tenant: str) -> bool:
        if self._asked.keys() <= {tenant}:
            return True
        inside = self._inside[tenant]
        if not self._slots.contested(tenant):
            return inside < self._most
        if inside < max(1, self._of_a_slot // 2):
            return True
        return inside < self._of_a_slot and inside < self._queue.longest_but(tenant)

    def _enter(self, waiter: Waiter, now: float) -> None:
        if self._turns[waiter].cancelled():  # it has gone, and was not yet told so itself
            self._queue.charge(waiter.tenant, -waiter.cost)
            return
        self._free -= 1
        self._inside[waiter.tenant] += 1
        self._slots.enter(waiter, now)
        self._turns[waiter].set_result(None)

    def _leave(self, waiter: Waiter) -> None:
        self._free += 1
        self._inside[waiter.tenant] -= 1
        if not self._inside[waiter.tenant]:
            del self._inside[waiter.tenant]
        self._slots.leave(waiter)
        self._admit()


def _refused(message: str) -> Overloaded:
    metrics.REQUESTS_REFUSED.inc()
    return Overloaded(message)


def _counted_as_waiting(background: bool) -> AbstractContextManager[object]:
    """Whoever watches this gauge wants to know of clients that wait."""
    return nullcontext() if background else metrics.REQUESTS_WAITING.track_inprogress()
