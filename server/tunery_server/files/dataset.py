"""The check of a training file: every line, before anything is stored or queued."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunery_adapters.spec import DataFormat
from tunery_server.errors import InvalidRequest, RequestError
from tunery_server.files.formats import refuse_other_formats
from tunery_server.files.jsonl import MAX_LINE_BYTES, read_lines
from tunery_server.files.row_formats import ROWS, format_of, keys_of_formats
from tunery_server.strict_json import parse, repeats_a_key

MAX_LINES = 1_000_000
_SHOWN = 10
_HINT = "(a training file holds one JSON object per line: JSONL)"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a training file holds."""

    format: DataFormat
    examples: int
    longest_line: int
    """In bytes."""


def read_dataset(path: Path) -> Contents:
    """Check every row of a JSONL file, all of which are of one format; one line at a time.

    Raises InvalidRequest with the line numbers and reasons of the first ten faults, or
    UnsupportedMediaType for a file that is compressed.
    """
    refuse_other_formats(path)
    rows, faults = _Rows(), []
    for number, line in enumerate(read_lines(path), start=1):
        if number > MAX_LINES:
            faults.append(f"line {number}: more than {MAX_LINES} lines")
            break
        if fault := rows.fault(line, number):
            faults.append(f"line {number}: {fault}")
            if len(faults) == _SHOWN:
                break
    if faults:
        raise _invalid("; ".join(faults))
    if rows.format is None:
        raise _invalid("the file has no lines")
    return Contents(rows.format, rows.good, rows.longest)


class _Rows:
    """The rows of one file so far. The first that can be told sets the format of all."""

    def __init__(self) -> None:
        self.good = 0
        self.longest = 0
        self.format: DataFormat | None = None
        self._set_by = 0

    def fault(self, line: bytes, number: int) -> str | None:
        """What is wrong with the next line; None for a good one."""
        if len(line) > MAX_LINE_BYTES:
            return f"longer than {MAX_LINE_BYTES} bytes"
        if not line:
            return "empty"
        try:
            row = parse(line)
        except RequestError as error:
            return f"{error.message.removeprefix('is ')} {_HINT}"
        if not isinstance(row, dict):
            return f"not a JSON object {_HINT}"
        fault = self._fault_in(row, number)
        if fault is None and repeats_a_key(line, row):
            fault = "an object has the same key twice"
        self.good += fault is None
        self.longest = max(self.longest, len(line))
        return fault

    def _fault_in(self, row: dict[str, Any], number: int) -> str | None:
        found = format_of(row)
        if self.format is None:
            if found is None:
                return f"none of the keys of a known format: {keys_of_formats()}"
            self.format, self._set_by = found, number
        if found not in {None, self.format}:
            first = f"line {self._set_by} is of the format {self.format!r}"
            return f"of the format {found!r}, while {first}; a file has rows of one format"
        try:
            ROWS[self.format].model_validate(row)
        except ValidationError as error:
            return _reason(error)
        return None


def _reason(error: ValidationError) -> str:
    """The first fault as ``field: reason``, without the value, which is the tenant's data."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "union_tag_invalid":
        reason = f"role must be one of {first['ctx']['expected_tags']}"
    return f"{field}: {reason}" if field else reason


def _invalid(reason: str) -> InvalidRequest:
    return InvalidRequest(f"The file cannot be used: {reason}.", code="invalid_file", param="file")
