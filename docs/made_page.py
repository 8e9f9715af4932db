"""Pages that end in what a script beside them makes: ``python docs/…_table.py --write``."""

import sys
from pathlib import Path


def path_of(script: str) -> Path:
    """The page that ``…_table.py`` is for."""
    return Path(script).with_name(Path(script).name.replace("_table.py", ".md"))


def renewed(script: str, made: str) -> str:
    """The whole page, with ``made`` after the line that names the script."""
    mark = f"<!-- made by {Path(script).name} -->\n"
    return path_of(script).read_text().partition(mark)[0] + mark + "\n" + made


def tell(script: str, made: str) -> None:
    """Renew the page with ``--write``, else print what would be in it."""
    if "--write" in sys.argv:
        path_of(script).write_text(renewed(script, made))
    else:
        sys.stdout.write(made)
