"""What a check has to say."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Level(StrEnum):
    """How bad it is. FAIL: something that the server is there for does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: the check's name, what was found, and for all but OK what to do about it."""

    check: str
    level: Level
    found: str
    advice: str | None = None


Check: TypeAlias = Callable[[], Iterator[Finding]]
"""Blocking. An error that it raises is a finding, too: nobody has to catch it."""


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, found)


def warn(check: str, found: str, advice: str) -> Finding:
    """It works, and can go wrong."""
    return Finding(check, Level.WARN, found, advice)


def fail(check: str, found: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(check, Level.FAIL, found, advice)
