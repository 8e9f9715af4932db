"""Holds what the compatibility tests find to what docs/compatibility.md says."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCUMENTED = ROOT / "docs" / "compatibility"
FOUND = ROOT / "build" / "compatibility"


def must_be_documented(name: str, found: dict[str, Any]) -> None:
    """Fails unless docs/compatibility/NAME.json says what was found, which is left in build/."""
    text = json.dumps(found, indent=1) + "\n"
    FOUND.mkdir(parents=True, exist_ok=True)
    (FOUND / f"{name}.json").write_text(text)
    documented = DOCUMENTED / f"{name}.json"
    assert documented.is_file() and documented.read_text() == text, (  # noqa: PT018 - one cause
        "docs/compatibility.md says something else. When what was found is right: "
        "python docs/compatibility_table.py --write"
    )
