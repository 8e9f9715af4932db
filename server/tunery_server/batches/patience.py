"""One line, asked until there is an answer."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tunery_server.batches.results import LineAnswer
from tunery_server.errors import TryAgainLater

Ask = Callable[[str, str, dict[str, Any]], Awaitable[LineAnswer]]
"""Answers a body as an interactive request of that tenant (first) to that endpoint (second).

Whatever is wrong with the body is an answer, too. Raises TryAgainLater for what will pass.
"""
Pause = Callable[[float], Awaitable[None]]
"""Lets seconds pass."""

MAX_FAILURES = 5
"""Answers with a status of 5xx that a line may get before the last of them is its result."""
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_SERVER_ERROR = 500


async def persist(ask: Callable[[], Awaitable[LineAnswer]], pause: Pause) -> LineAnswer:
    """The answer of ``ask``, however long the engine stays away.

    An engine that is there and fails is asked again, but not for ever: it may be the line's fault.
    """
    failures = 0
    for pause_s in _pauses():
        try:
            answer = await ask()
        except TryAgainLater:
            await pause(pause_s)
            continue
        failures += answer.status >= _SERVER_ERROR
        if answer.status < _SERVER_ERROR or failures == MAX_FAILURES:
            return answer
        await pause(pause_s)
    raise AssertionError("pauses have no end")


def _pauses() -> Iterator[float]:
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
