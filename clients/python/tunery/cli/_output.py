"""What a command prints: JSON, a table on a terminal, tab-separated lines elsewhere."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from openai import BaseModel

_CONTROLS = dict.fromkeys({*range(32), *range(127, 160)} - {ord("\t"), ord("\n")})

stdout = Console(highlight=False, soft_wrap=True)
stderr = Console(highlight=False, soft_wrap=True, stderr=True)


def document(item: "BaseModel") -> dict[str, Any]:
    """An answer of the server as the JSON that it sent."""
    return item.to_dict(mode="json")


def print_json(value: object) -> None:
    """One JSON document on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_page(items: "Iterable[BaseModel]") -> None:
    """A list as one JSON document, in the shape of the wire."""
    print_json({"object": "list", "data": [document(item) for item in items]})


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under headings on a terminal, else tab-separated and without headings."""
    texts = [[_cell(value) for value in row] for row in rows]
    if not stdout.is_terminal:
        for row in texts:
            say("\t".join(row))
        return
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in texts:
        table.add_row(*map(Text, row))
    stdout.print(table)


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """One thing, a field a line; fields without a value are left out."""
    print_table(("", ""), [pair for pair in fields if pair[1] is not None])


def say(line: str) -> None:
    """One line as it is, without markup."""
    sys.stdout.write(printable(line) + "\n")
    sys.stdout.flush()


def printable(text: str) -> str:
    """``text`` without control characters, which would steer the terminal."""
    return text.translate(_CONTROLS)


def duration(seconds: float | None) -> str:
    """``83.2`` as ``1:23``; a dash for None."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return printable(str(value)).replace("\n", " ").replace("\t", " ")
