"""docs/settings.md lists every setting with its default."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "settings_table.py"))
    assert script["page"]() == (ROOT / "docs" / "settings.md").read_text(), (
        "run 'python docs/settings_table.py --write'"
    )


def test_every_setting_has_a_meaning() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "settings_table.py"))
    assert all(len(line.split("|")[3].strip()) > 5 for line in script["table"]().splitlines()[2:])
