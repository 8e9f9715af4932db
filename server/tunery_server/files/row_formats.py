"""The formats that a training file may have, and which of them a row is of."""

from collections.abc import Mapping
from typing import Any

from tunery_adapters.spec import DataFormat
from tunery_server.files.chat_rows import ChatRow
from tunery_server.files.completion_rows import CompletionRow
from tunery_server.files.messages import Row
from tunery_server.files.preference_rows import PreferenceRow
from tunery_server.files.text_rows import TextRow

ROWS: Mapping[DataFormat, type[Row]] = {
    "preference": PreferenceRow,
    "chat": ChatRow,
    "completion": CompletionRow,
    "text": TextRow,
}

_OF_SEVERAL = frozenset({"tools", "parallel_tool_calls"})
"""Keys that tell nothing."""


def format_of(row: Mapping[str, Any]) -> DataFormat | None:
    """The first format of which the row has a key, or None; it may yet be wrong in that format."""
    return next((name for name, kind in ROWS.items() if row.keys() & _telling(kind)), None)


def keys_of_formats() -> str:
    """What the rows of each format hold, in words."""
    return "; ".join(
        f"{', '.join(key for key in kind.model_fields if key not in _OF_SEVERAL)} ({name})"
        for name, kind in ROWS.items()
    )


def _telling(kind: type[Row]) -> frozenset[str]:
    return frozenset(kind.model_fields) - _OF_SEVERAL
