"""Renews the tables of docs/compatibility.md: ``python docs/compatibility_table.py --write``.

The tests find the data and leave it in build/compatibility; ``--write`` takes it over into
docs/compatibility, from where the page is made. Without new data it only makes the page.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from made_page import renewed, tell

DOCS = Path(__file__).parent
DATA = DOCS / "compatibility"
FOUND = DOCS.parent / "build" / "compatibility"


def page() -> str:
    """The whole page with fresh tables."""
    return renewed(__file__, tables())


def tables() -> str:
    """What the tests found of the client's own tests, and of its types."""
    tests = json.loads((DATA / "client_tests.json").read_text())
    fields = json.loads((DATA / "fields.json").read_text())
    return f"{_tests(tests)}\n{_fields(fields)}"


def _tests(found: dict[str, Any]) -> str:
    rows = found["methods"].values()
    passed, skipped, failed = (
        sum(row["passed"] for row in rows),
        sum(sum(row["skipped"].values()) for row in rows),
        sum(row["failed"] for row in rows),
    )
    lines = [
        "## The client's own tests",
        "",
        f"`openai` {found['openai']}: {passed} passed, {skipped} skipped, {failed} failed. "
        f"{found['without_a_request']} more send nothing to a server and are not counted.",
        "",
        "| method | route | passed | skipped | failed | why skipped |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_method(name, row) for name, row in found["methods"].items()]
    return "\n".join(lines) + "\n"


def _method(name: str, row: dict[str, Any]) -> str:
    routes = "<br>".join(f"`{route}`" for route in row["routes"])
    reasons = "; ".join(row["skipped"])
    skipped = sum(row["skipped"].values())
    return f"| `{name}` | {routes} | {row['passed']} | {skipped} | {row['failed']} | {reasons} |"


def _fields(found: dict[str, Any]) -> str:
    lines = [
        "## Field by field",
        "",
        f"Our types against those of `openai` {found['openai']}: every field of theirs is here "
        "with a type that fits, but for the exceptions.",
        "",
        "| theirs | ours | fields | besides theirs | exceptions |",
        "|---|---|---|---|---|",
    ]
    lines += [_pair(row) for row in found["pairs"]]
    return "\n".join(lines) + "\n"


def _pair(row: dict[str, Any]) -> str:
    extra = ", ".join(f"`{name}`" for name in row["extra"])
    exceptions = "<br>".join(f"`{path}`: {why}" for path, why in row["exceptions"].items())
    return f"| `{row['theirs']}` | `{row['ours']}` | {row['fields']} | {extra} | {exceptions} |"


if __name__ == "__main__":
    if "--write" in sys.argv:
        for data in sorted(FOUND.glob("*.json")):
            shutil.copy(data, DATA)
    tell(__file__, tables())
