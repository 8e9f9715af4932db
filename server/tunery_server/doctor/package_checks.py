"""Installed packages, against the bounds that this distribution declares in pyproject.toml."""

import re
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from tunery_server.doctor.finding import Finding, fail, ok, warn

DISTRIBUTION = "tunery-server"
_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(?:\[[\w,-]+\])?(?P<bounds>[^;]*)(?:;\s*extra == ['\"](?P<extra>\w+)['\"])?"
)
_BOUND = re.compile(r"(==|>=|<)\s*([\w.]+)")
Versions = Callable[[str], str]


def package_checks(
    requirements: Iterable[str] | None = None, version_of: Versions = version
) -> Iterator[Finding]:
    """One line. What an extra asks for may be absent: a gateway alone needs no vLLM."""
    declared = (requires(DISTRIBUTION) or []) if requirements is None else requirements
    bad, seen = [], 0
    for requirement in declared:
        found = _REQUIREMENT.match(requirement)
        if found is None or found["name"] == DISTRIBUTION:
            continue
        try:
            installed = version_of(found["name"])
        except PackageNotFoundError:
            bad += [] if found["extra"] else [f"{found['name']} is not installed"]
            continue
        seen += 1
        if not _within(installed, found["bounds"]):
            bad.append(f"{found['name']} is {installed} and has to be {found['bounds'].strip()}")
    if not seen and not bad:
        yield warn("packages", "the bounds cannot be read", f"install {DISTRIBUTION} by pip")
    elif bad:
        yield fail("packages", "; ".join(bad), "run `make setup`, or install by the lock files")
    else:
        yield ok("packages", f"{seen} are within the bounds of {DISTRIBUTION}")


def _within(installed: str, bounds: str) -> bool:
    have = numbers(installed)
    for sign, bound in _BOUND.findall(bounds):
        bounded = {"==": have == numbers(bound), ">=": have >= numbers(bound)}
        if not bounded.get(sign, have < numbers(bound)):
            return False
    return True


def numbers(text: str) -> tuple[int, ...]:
    """``"2.13.0+cpu"`` as ``(2, 13)``: zeros at the end say nothing."""
    release = re.match(r"[\d.]*", text)
    parts = [int(part) for part in (release[0] if release else "").split(".") if part]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
