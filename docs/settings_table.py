"""Prints the table of docs/settings.md: ``python docs/settings_table.py --write`` renews it."""

import sys
from pathlib import Path

from tunery_server.config import PREFIX, UNPREFIXED, Settings

PAGE = Path(__file__).with_name("settings.md")
MARK = "<!-- made by settings_table.py -->\n"


def table() -> str:
    """One line for each setting: variable, default, meaning."""
    lines = ["| variable | default | |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        variable = name.upper() if name in UNPREFIXED else f"{PREFIX}{name.upper()}"
        default = "" if field.default_factory or field.default is None else f"`{field.default}`"
        meaning = " ".join((field.description or "").split()).replace("``", "`")
        lines.append(f"| `{variable}` | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page with a fresh table."""
    return PAGE.read_text().partition(MARK)[0] + MARK + "\n" + table()


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page())
    else:
        sys.stdout.write(table())
