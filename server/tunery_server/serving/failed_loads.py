"""Adapters that could not be loaded for a reason of their own."""

from tunery_server.errors import TuneryError

AGAIN_S = 10.0
"""A load is not tried again before: each holds up everybody's answers in the engine."""


class FailedLoads:
    """The last failures, kept for a while. Times are seconds of one clock that never goes back."""

    def __init__(self) -> None:
        self._errors: dict[str, tuple[float, TuneryError]] = {}

    def add(self, name: str, error: TuneryError, now: float) -> None:
        """A load failed just now."""
        recent = {n: kept for n, kept in self._errors.items() if now - kept[0] < AGAIN_S}
        self._errors = {**recent, name: (now, error)}

    def check(self, name: str, now: float) -> None:
        """Raises what went wrong a moment ago."""
        failed_at, error = self._errors.get(name, (now - AGAIN_S, None))
        if error is not None and now - failed_at < AGAIN_S:
            raise error.with_traceback(None)

    def clear(self) -> None:
        """Another engine process may think otherwise."""
        self._errors.clear()
