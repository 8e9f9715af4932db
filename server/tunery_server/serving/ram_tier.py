"""The engine's places for adapters in main memory: what is there, and what gives its place up.

vLLM would drop the least recently used one by itself, and read it again from disk amid a step of
the engine when a request still named it. So it is never given more than it has places for.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

RECENT_S = 600.0
"""What nobody has used for so long is the first to go, whosever it is."""

_SPARE_SHARE = 8
"""One place in so many is for what workers and other gateways load between two looks."""


@dataclass(slots=True)
class _Known:
    owner: str
    used_at: float


class RamTier:
    """Adapters of one engine process, and those of the one before that are to come back.

    Times are seconds of one clock that never goes back.
    """

    def __init__(self, places: int) -> None:
        self._places = max(1, places - places // _SPARE_SHARE)
        self._known: dict[str, _Known] = {}
        self._loaded: frozenset[str] = frozenset()
        self.pinned: frozenset[str] = frozenset()
        """What stays while anything else can go."""

    def __contains__(self, name: object) -> bool:
        return name in self._loaded

    def __len__(self) -> int:
        return len(self._loaded)

    @property
    def loaded(self) -> frozenset[str]:
        """What is there."""
        return self._loaded

    def surplus(self, coming: int = 0) -> int:
        """How many have to go before ``coming`` more have places."""
        return max(0, len(self._loaded) + coming - self._places)

    def observe(self, names: Collection[str], now: float, *, restarted: bool) -> None:
        """What the engine says that it has. Only a restart takes what is to come back."""
        self._loaded = frozenset(names)
        for name in self._loaded:
            self._known.setdefault(name, _Known("", now))
        if not restarted:
            self._known = {name: self._known[name] for name in self._loaded}

    def lost(self) -> None:
        """The engine does not answer: nothing is there."""
        self._loaded = frozenset()

    def add(self, name: str, owner: str, now: float) -> None:
        """It was loaded."""
        self._loaded |= {name}
        self._known[name] = _Known(owner, now)

    def own(self, name: str, owner: str) -> None:
        """Whose it is: what a worker had loaded comes from the engine without an owner."""
        self._known[name].owner = owner

    def use(self, name: str, now: float) -> None:
        """A request names it, or has ended."""
        if name in self._known:
            self._known[name].used_at = now

    def remove(self, name: str) -> None:
        """It goes, and is not to come back."""
        self._loaded -= {name}
        self._known.pop(name, None)

    def missing(self) -> tuple[str, ...]:
        """What is to come back, most recently used first: no more than there are places for."""
        names = sorted(self._known, key=lambda name: -self._known[name].used_at)
        return tuple(name for name in names[: self._places] if name not in self._loaded)

    def leaver(self, busy: Collection[str], coming: str, now: float) -> str | None:
        """Whose turn it is to go for an adapter of the tenant ``coming``; None when all are busy.

        What has long been idle goes first. Else whoever holds the most, with the one that comes,
        gives up what it has used least recently: one tenant cannot drive out the others.
        """
        free = [name for name in self._loaded if name not in busy]
        free = [name for name in free if name not in self.pinned] or free
        if not free:
            return None
        oldest = min(free, key=lambda name: self._known[name].used_at)
        if now - self._known[oldest].used_at >= RECENT_S:
            return oldest
        held = Counter(self._known[name].owner for name in self._loaded) + Counter([coming])
        return min(
            free, key=lambda name: (-held[self._known[name].owner], self._known[name].used_at)
        )
