"""The input of a batch: one request a line. Checked whole before the first one runs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tunery_server.errors import InvalidRequest, TooLarge
from tunery_server.files.jsonl import MAX_LINE_BYTES, read_lines
from tunery_server.strict_json import parse

MAX_LINES = 50_000
"""OpenAI's bound."""
MAX_ERRORS = 20
"""Errors that are kept of a file that cannot be used."""
_MAX_MODEL_NAME = 256


class Line(BaseModel):
    """One request. Its body is the endpoint's own business, and checked when it runs."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    custom_id: str = Field(min_length=1, max_length=512)
    method: Literal["POST"]
    url: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a line, or with None the whole file, cannot be used. Holds none of the tenant's text."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What is in an input file."""

    lines: int
    model: str | None
    """The one model that all lines name."""
    faults: tuple[Fault, ...]


def check(path: Path, endpoint: str) -> Checked:
    """Read the whole file, up to the first :data:`MAX_ERRORS` faults. Blocking."""
    if not path.is_file():
        # It was deleted between the look of the request that made the batch, and its record.
        return Checked(0, None, (Fault("file_not_found", "The input file was deleted."),))
    check = _Check(endpoint)
    for number, text in enumerate(read_lines(path), start=1):
        if number > MAX_LINES:
            check.faults.append(Fault("too_many_lines", f"More than {MAX_LINES} lines."))
        else:
            check.line(number, text)
        if len(check.faults) >= MAX_ERRORS or number > MAX_LINES:
            break
    if not check.lines and not check.faults:
        check.faults.append(Fault("empty_file", "The file has no lines."))
    return Checked(check.lines, check.model, tuple(check.faults))


def lines(path: Path) -> Iterator[Line]:
    """The requests of a file that was checked."""
    return (Line.model_validate(parse(text)) for text in read_lines(path))


@dataclass(slots=True)
class _Check:
    endpoint: str
    lines: int = 0
    faults: list[Fault] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)
    _models: set[str] = field(default_factory=set)

    @property
    def model(self) -> str | None:
        return next(iter(self._models)) if len(self._models) == 1 else None

    def line(self, number: int, text: bytes) -> None:
        self.lines += 1
        try:
            line = _parsed(text)
        except _Bad as bad:
            self.faults.append(Fault(bad.code, bad.message, bad.param, number))
            return
        self._note_model(line.body.get("model"))
        if line.url != self.endpoint:
            message = f"The batch's endpoint is {self.endpoint}; every line has to name it."
            self.faults.append(Fault("invalid_url", message, "url", number))
        if (first := self._seen.setdefault(line.custom_id, number)) != number:
            message = f"Line {first} has the same custom_id."
            self.faults.append(Fault("duplicate_custom_id", message, "custom_id", number))

    def _note_model(self, model: object) -> None:
        """A name that no model can have counts as several."""
        usable = isinstance(model, str) and len(model) <= _MAX_MODEL_NAME and model.isprintable()
        self._models |= {str(model)} if usable else {"", "\0"}


class _Bad(Exception):
    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


def _parsed(text: bytes) -> Line:
    if len(text) > MAX_LINE_BYTES:
        raise _Bad("line_too_large", f"The line is longer than {MAX_LINE_BYTES} bytes.")
    try:
        row = parse(text)
    except TooLarge as error:
        raise _Bad("line_too_large", error.message) from None
    except InvalidRequest as error:
        raise _Bad("invalid_json_line", f"The line is {error.message}.") from None
    if not isinstance(row, dict):
        raise _Bad("invalid_json_line", "The line is not a JSON object.")
    try:
        return Line.model_validate(row)
    except ValidationError as error:
        raise _reason(error) from None


def _reason(error: ValidationError) -> _Bad:
    first = error.errors(include_url=False, include_input=False)[0]
    param = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return _Bad("unknown_parameter", "The line has a field that is not one of a batch line.")
    code = "missing_required_parameter" if first["type"] == "missing" else f"invalid_{param}"
    return _Bad(code, f"{param}: {first['msg']}.", param)
