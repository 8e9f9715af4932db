"""docs/capacity.md says what the simulation found."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "capacity_table.py"))
    assert script["page"]() == (ROOT / "docs" / "capacity.md").read_text(), (
        "run 'python docs/capacity_table.py --write'"
    )
