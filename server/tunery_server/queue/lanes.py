"""How needs and places in line are written for the scripts."""

from tunery_server.queue.contract import HIGHEST_PRIORITY, Need

_STEPS_PER_DOUBLING = 8
_CREATED_BITS = 42
"""Milliseconds since 1970 fit until 2109; with 201 priorities above them a float is exact."""


def lane(need: Need) -> str:
    """The lane of jobs with like needs: memory rounded up by at most an eighth.

    So there are few lanes however many needs there are.
    """
    return f"{need.devices}:{rounded(need.memory_bytes)}"


def rounded(memory_bytes: int) -> int:
    """The next of eight steps from one power of two to the next."""
    step = 1 << max(0, memory_bytes.bit_length() - _STEPS_PER_DOUBLING.bit_length())
    return -(-memory_bytes // step) * step


def order(priority: int, created_at: float) -> int:
    """A number that is less for a higher priority, and for an older job of the same."""
    return above(priority) + int(created_at * 1000)


def above(priority: int) -> int:
    """All jobs of a higher priority, and no others, have an order below this."""
    return (HIGHEST_PRIORITY - priority) << _CREATED_BITS
