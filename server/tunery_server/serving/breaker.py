"""Keeps a request that kills the engine from doing so again and again.

The rule punishes no bystander. Whatever was in the engine when it died is a suspect, and is cleared
by the first whole answer to the same body. A suspect that is there at another death within ten
minutes is refused for ten minutes, if it was the only one that was there before; of several, none
is refused, but they run one at a time until they are answered or one of them is left with the next
death. A request whose client had gone before was not there.
"""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from tunery_server.errors import EngineRefused, EngineUnavailable, InvalidRequest, Overloaded
from tunery_server.serving.usage import StreamCut

V = TypeVar("V")

WINDOW_S = 600.0
"""Between two deaths that count together, and how long a body is refused."""

MAX_SUSPECTS = 1000

_RETRY_S = 5
_ENGINE_ERROR = 500


@dataclass(frozen=True, slots=True)
class Suspect:
    """A body that was in the engine when it died and was not answered since."""

    died_at: float
    again: bool
    """More than one death within the window."""
    refused: bool


def fingerprint(path: str, model: str, body: bytes) -> bytes:
    """What makes two requests the same one. ``model`` is the one that answers."""
    return hashlib.sha256(b"\0".join((path.encode(), model.encode(), body))).digest()


class Breaker:
    """What one gateway saw of the engine's deaths, in bounded memory."""

    def __init__(self, *, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._boot_id: str | None = None
        self._running: Counter[bytes] = Counter()
        self._lost: OrderedDict[bytes, float] = OrderedDict()
        self._suspects: OrderedDict[bytes, Suspect] = OrderedDict()

    @contextmanager
    def watching(self, request: bytes, boot_id: str | None) -> Iterator[None]:
        """Run a request, by its fingerprint, in the engine process ``boot_id``.

        Raises InvalidRequest for one that is refused, and Overloaded for one that has to run apart
        from another that is running.
        """
        self._notice(boot_id)
        self._admit(request)
        self._running[request] += 1
        try:
            yield
        except (EngineUnavailable, StreamCut, EngineRefused) as error:
            if not isinstance(error, EngineRefused) or error.status >= _ENGINE_ERROR:
                _keep(self._lost, request, self._timer())
            raise
        else:
            self._suspects.pop(request, None)
            self._lost.pop(request, None)
        finally:
            self._running -= Counter([request])

    def _notice(self, boot_id: str | None) -> None:
        """A new process means that the one before died with the requests that it lost."""
        if boot_id is None or boot_id == self._boot_id:
            return
        if self._boot_id is not None:
            now = self._timer()
            lost = [request for request, at in self._lost.items() if now - at < WINDOW_S]
            again = {request for request in lost if self._suspect(request) is not None}
            for request in lost:
                known = request in again
                suspect = Suspect(now, again=known, refused=again == {request})
                _keep(self._suspects, request, suspect)
            self._lost.clear()
        self._boot_id = boot_id

    def _admit(self, request: bytes) -> None:
        suspect = self._suspect(request)
        if suspect is None or not suspect.again:
            return
        if suspect.refused:
            raise InvalidRequest(
                "The engine died twice while it ran this very request, which is refused for ten "
                "minutes.",
                code="request_refused",
            )
        if any(self._runs_apart(running) for running in self._running):
            raise Overloaded(
                "The engine died twice while it ran this request and others, which now run one at "
                "a time. Try again shortly.",
                retry_after_s=_RETRY_S,
            )

    def _runs_apart(self, request: bytes) -> bool:
        suspect = self._suspect(request)
        return suspect is not None and suspect.again

    def _suspect(self, request: bytes) -> Suspect | None:
        suspect = self._suspects.get(request)
        if suspect is not None and self._timer() - suspect.died_at >= WINDOW_S:
            del self._suspects[request]
            return None
        return suspect


def _keep(kept: OrderedDict[bytes, V], request: bytes, value: V) -> None:
    kept[request] = value
    kept.move_to_end(request)
    if len(kept) > MAX_SUSPECTS:
        kept.popitem(last=False)
