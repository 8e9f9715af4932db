"""Prints the table of docs/settings.md: ``python docs/settings_table.py --write`` renews it."""

from made_page import renewed, tell

from tunery_server.config import PREFIX, UNPREFIXED, Settings


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
    return renewed(__file__, table())


if __name__ == "__main__":
    tell(__file__, table())
