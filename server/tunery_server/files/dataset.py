"""The check of a training file: every line, before anything is stored or queued."""

from pathlib import Path

from pydantic import ValidationError

from tunery_server.errors import InvalidRequest, RequestError
from tunery_server.files.chat_rows import ChatRow
from tunery_server.files.formats import refuse_other_formats
from tunery_server.files.jsonl import MAX_LINE_BYTES, read_lines
from tunery_server.strict_json import parse, repeats_a_key

MAX_LINES = 1_000_000
_SHOWN = 10
_HINT = "(a training file holds one JSON object per line: JSONL)"


def count_examples(path: Path) -> int:
    """Number of training examples in a chat JSONL file; reads one line at a time.

    Raises InvalidRequest with the line numbers and reasons of the first ten faults, or
    UnsupportedMediaType for a file that is compressed.
    """
    refuse_other_formats(path)
    examples, faults = 0, []
    for number, line in enumerate(read_lines(path), start=1):
        if number > MAX_LINES:
            faults.append(f"line {number}: more than {MAX_LINES} lines")
            break
        if fault := _fault(line):
            faults.append(f"line {number}: {fault}")
            if len(faults) == _SHOWN:
                break
        examples += 1
    if faults:
        raise _invalid("; ".join(faults))
    if not examples:
        raise _invalid("the file has no lines")
    return examples


def _fault(line: bytes) -> str | None:
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
    try:
        ChatRow.model_validate(row)
    except ValidationError as error:
        return _reason(error)
    return "an object has the same key twice" if repeats_a_key(line, row) else None


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
