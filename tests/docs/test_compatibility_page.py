"""docs/compatibility.md is made of what the tests found last; they hold the data to be true."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "compatibility_table.py"))
    assert script["page"]() == (ROOT / "docs" / "compatibility.md").read_text(), (
        "run 'python docs/compatibility_table.py --write'"
    )
