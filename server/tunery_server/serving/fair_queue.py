"""Who is next: tenants in turn by what they took, and within a tenant its adapters in turn.

Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", 1996): a tenant's next
request starts, in virtual time, where its last one ended, or now if it had nothing to ask since;
the earliest start is next. Virtual time is counted in tokens.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(eq=False, slots=True, kw_only=True)
class Waiter:
    """One request in line."""

    tenant: str
    adapter: str | None
    """None for the base model."""
    cost: int
    """Tokens that it is expected to take."""
    since: float


_Flows = dict[str | None, deque[Waiter]]
"""One tenant's requests by adapter, in the order in which the adapters are next."""


class FairQueue:
    """A line that no tenant can fill for the others."""

    def __init__(self) -> None:
        self._tenants: dict[str, _Flows] = {}
        self._lengths: dict[str, int] = {}
        self._finish: dict[str, float] = {}
        self._now = 0.0

    def __len__(self) -> int:
        return sum(self._lengths.values())

    def put(self, waiter: Waiter) -> None:
        """Stand in line, behind the tenant's others for the same adapter."""
        flows = self._tenants.setdefault(waiter.tenant, {})
        flows.setdefault(waiter.adapter, deque()).append(waiter)
        self._lengths[waiter.tenant] = self._lengths.get(waiter.tenant, 0) + 1

    def remove(self, waiter: Waiter) -> bool:
        """Leave the line. False for one that is not in it."""
        flow = self._tenants.get(waiter.tenant, {}).get(waiter.adapter)
        if flow is None or waiter not in flow:
            return False
        flow.remove(waiter)
        self._left(waiter)
        return True

    def take(self, admits: Callable[[Waiter], bool]) -> Waiter | None:
        """Take out the next one of those that ``admits`` lets pass."""
        for tenant in sorted(self._tenants, key=self._start):
            for flow in self._tenants[tenant].values():
                if admits(flow[0]):
                    return self._taken(flow)
        return None

    def charge(self, tenant: str, tokens: int) -> None:
        """Correct what a tenant's request was expected to take."""
        if tenant in self._finish:
            self._finish[tenant] += tokens

    def heads(self) -> Iterator[Waiter]:
        """The oldest of each tenant and adapter."""
        return (flow[0] for flows in self._tenants.values() for flow in flows.values())

    def longest_but(self, tenant: str) -> int:
        """How many wait of the other tenant with the most in line."""
        others = (length for other, length in self._lengths.items() if other != tenant)
        return max(others, default=0)

    def newest_of_the_longest(self) -> Waiter | None:
        """Who has to go when the line is full: the last to come of the tenant with the most."""
        longest = max(self._lengths, key=self._lengths.__getitem__, default=None)
        if longest is None:
            return None
        return max(
            (flow[-1] for flow in self._tenants[longest].values()), key=lambda last: last.since
        )

    def _start(self, tenant: str) -> float:
        return max(self._now, self._finish.get(tenant, 0.0))

    def _taken(self, flow: "deque[Waiter]") -> Waiter:
        waiter = flow.popleft()
        self._now = self._start(waiter.tenant)
        self._finish[waiter.tenant] = self._now + waiter.cost
        if flow:  # the tenant's other adapters come first, next time
            flows = self._tenants[waiter.tenant]
            flows[waiter.adapter] = flows.pop(waiter.adapter)
        self._left(waiter)
        return waiter

    def _left(self, waiter: Waiter) -> None:
        flows = self._tenants[waiter.tenant]
        if not flows[waiter.adapter]:
            del flows[waiter.adapter]
        self._lengths[waiter.tenant] -= 1
        if not flows:
            del self._tenants[waiter.tenant], self._lengths[waiter.tenant]
            self._forget_the_past()

    def _forget_the_past(self) -> None:
        """A finish before now says nothing that now does not."""
        if len(self._finish) > 2 * len(self._tenants) + 64:
            self._finish = {t: at for t, at in self._finish.items() if at > self._now}
