"""The engine's adapter slots, and whose turn it is to have one.

vLLM computes with ``max_loras`` adapters at a time, and passes over requests for others for as
long as requests for those keep coming. So no more adapters than that are let into it at once, and
one that has waited for long enough gets the slot of one that is let run dry.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tunery_server.serving.fair_queue import Waiter

PATIENCE_S = 0.5
"""How long an adapter keeps a slot that others wait for: long enough to be worth its loading."""
CONTEST_S = 10.0
"""How long after a tenant last waited for a slot it is likely to do so again."""


@dataclass(slots=True)
class _Held:
    tenant: str
    since: float
    requests: int = 0
    closing: bool = False


class Slots:
    """Who holds a slot. An adapter holds one for as long as it has a request in the engine.

    While several tenants are about, none of them holds every slot.
    """

    def __init__(self, count: int, *, patience_s: float = PATIENCE_S) -> None:
        self.count = count
        self._patience_s = patience_s
        self._held: dict[str, _Held] = {}
        self._about: Collection[str] = ()
        self._wanting: dict[str, float] = {}
        self._waited: dict[str, float] = {}
        self._turn: frozenset[str] = frozenset()

    def admits(self, waiter: Waiter) -> bool:
        """Whether it may enter, by what :meth:`plan` saw last."""
        if waiter.adapter is None:
            return True
        held = self._held.get(waiter.adapter)
        if held is not None:
            return not held.closing
        if len(self._held) >= self.count or self._has_its_share(waiter.tenant):
            return False
        return not self._turn or waiter.adapter in self._turn

    def enter(self, waiter: Waiter, now: float) -> None:
        """A request goes into the engine."""
        if waiter.adapter is not None:
            held = self._held.setdefault(waiter.adapter, _Held(waiter.tenant, now))
            held.requests += 1

    def leave(self, waiter: Waiter) -> None:
        """A request has left the engine."""
        if waiter.adapter is None:
            return
        held = self._held[waiter.adapter]
        held.requests -= 1
        if held.requests == 0:
            del self._held[waiter.adapter]

    def plan(self, heads: Iterable[Waiter], now: float, about: Collection[str]) -> None:
        """Decide whose slots close, and who is first to have those that get free.

        ``about`` are the tenants that have asked for something lately.
        """
        self._about = about
        self._forget_contests(now)
        overdue = self._overdue(heads, now)
        free = self.count - len(self._held)
        self._turn = frozenset(overdue[: max(free, 0)])
        closing = [held for held in self._held.values() if held.closing]
        if not overdue:
            for held in closing:
                held.closing = False
            return
        for held in self._longest_held(now)[: max(0, len(overdue) - free - len(closing))]:
            held.closing = True

    def contested(self, tenant: str) -> bool:
        """Whether others than this tenant have waited for a slot lately."""
        return not self._waited.keys() <= {tenant}

    def _forget_contests(self, now: float) -> None:
        """Who waited last is last."""
        while self._waited and now - next(iter(self._waited.values())) >= CONTEST_S:
            del self._waited[next(iter(self._waited))]

    def _waits(self, tenant: str, now: float) -> None:
        """One that has its share of slots, or finds one free, waits at nobody's fault."""
        if len(self._held) >= self.count and not self._has_its_share(tenant):
            self._waited.pop(tenant, None)
            self._waited[tenant] = now

    def _has_its_share(self, tenant: str) -> bool:
        """Whether one slot more would be the last one that others could have."""
        if self.count == 1 or all(about == tenant for about in self._about):
            return False
        return sum(held.tenant == tenant for held in self._held.values()) >= self.count - 1

    def _overdue(self, heads: Iterable[Waiter], now: float) -> list[str]:
        """Adapters that have wanted a slot for long enough, longest first.

        One that was let run dry begins to want anew, or it would be the first in line again.
        """
        wanting: dict[str, float] = {}
        overdue: list[tuple[float, str]] = []
        for head in heads:
            if head.adapter is None or head.adapter in self._held or head.adapter in wanting:
                continue
            wanting[head.adapter] = since = self._wanting.get(head.adapter, now)
            self._waits(head.tenant, now)
            if now - since >= self._patience_s and not self._has_its_share(head.tenant):
                overdue.append((since, head.adapter))
        self._wanting = wanting
        return [adapter for _, adapter in sorted(overdue)]

    def _longest_held(self, now: float) -> list[_Held]:
        """Those that could close: of tenants that hold the most slots first, then the longest."""
        held = [
            one
            for one in self._held.values()
            if not one.closing and now - one.since >= self._patience_s
        ]
        slots = Counter(one.tenant for one in self._held.values())
        return sorted(held, key=lambda one: (-slots[one.tenant], one.since))
