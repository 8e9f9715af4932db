"""The locked packages are pinned by hash, and none has a hole that was mended long ago."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PINNED = re.compile(r"^([a-zA-Z0-9._-]+)(?:\[[\w,-]+\])?==(\S+)")

FLOORS = {
    "python-multipart": (0, 0, 27),  # CVE-2026-42561
    "redis": (4, 5, 4),  # CVE-2023-28859
    "starlette": (1, 3, 0),  # PYSEC-2026-248
    "torch": (2, 10, 0),  # CVE-2026-24747
}
"""The oldest release of each that has no known hole which a client could reach."""


def requirements(lock: Path) -> list[str]:
    """Each requirement with its hashes as one line."""
    lines = [line for line in lock.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.startswith("-")]


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if "overrides" not in lock.name], ids=str)
def test_every_package_is_pinned_and_hashed(lock: Path) -> None:
    found = requirements(lock)
    assert found
    for requirement in found:
        pinned_by_url = " @ https://" in requirement
        assert PINNED.match(requirement) or pinned_by_url, requirement[:80]
        assert "--hash=sha256:" in requirement, requirement[:80]


@pytest.mark.parametrize("lock", ["cpu.txt", "cuda.txt"])
def test_no_package_is_older_than_its_last_hole(lock: str) -> None:
    versions = {}
    for requirement in requirements(ROOT / "requirements" / lock):
        if found := PINNED.match(requirement):
            versions[found[1]] = tuple(int(part) for part in re.findall(r"\d+", found[2])[:3])
    assert versions.keys() & FLOORS.keys() >= {"python-multipart", "redis", "starlette"}
    for name, floor in FLOORS.items():
        assert versions.get(name, floor) >= floor, name
