"""When a process that ended starts again."""

from collections import deque

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 60.0
STEADY_S = 60.0
"""A process that ran for so long starts again at once when it ends."""

WINDOW_S = 600.0
OPEN_S = 300.0
"""How long a process is left down that has ended too often."""


class Restarts:
    """Ever later, one after the other; and rarely after ``deaths`` within ten minutes.

    Times are seconds of one clock that never goes back. Without ``deaths`` it only gets later.
    """

    def __init__(self, deaths: int | None = None) -> None:
        self._deaths = deaths
        self._ended: deque[float] = deque(maxlen=deaths)
        self._delay_s = 0.0

    @property
    def open(self) -> bool:
        """Whether the last end was one too many."""
        return self._deaths is not None and self._delay_s == OPEN_S

    def delay_s(self, started: float, ended: float) -> float:
        """How long to wait after a process that ran from ``started`` to ``ended``."""
        steady = ended - started > STEADY_S
        self._ended.append(ended)
        if self._too_often(ended):
            self._delay_s = OPEN_S
        elif steady or not self._delay_s or self._delay_s == OPEN_S:
            self._delay_s = FIRST_DELAY_S
        else:
            self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)
        return self._delay_s

    def _too_often(self, now: float) -> bool:
        return len(self._ended) == self._deaths and now - self._ended[0] < WINDOW_S
