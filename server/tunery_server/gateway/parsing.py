"""One strict parse of a JSON body, and the naming of what is wrong with it.

The body is parsed once and re-serialised from the checked object, so that what was checked is what
runs (duplicate keys, odd numbers and lone surrogates never reach the engine).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tunery_server.errors import InvalidRequest, TooLarge, UnsupportedMediaType
from tunery_server.gateway.protocol.base import Request as Body
from tunery_server.strict_json import parse

B = TypeVar("B", bound=Body)

_MAX_SHOWN = 200

_LARGE_BYTES = 2**16
"""From here on, checking a body would hold up everybody else's answers."""

_BY_NAME = {"unsupported_parameter", "unsupported_value", "unsupported_content"}
"""Error types of our own, which are their codes, too."""

CODES = {
    "missing": "missing_required_parameter",
    "extra_forbidden": "unknown_parameter",
    "string_too_long": "string_above_max_length",
    "string_too_short": "string_below_min_length",
    "too_long": "array_above_max_length",
    "too_short": "empty_array",
    "literal_error": "invalid_value",
    "union_tag_invalid": "invalid_value",
    "union_tag_not_found": "missing_required_parameter",
    "value_error": "invalid_value",
    "finite_number": "invalid_value",
    "string_pattern_mismatch": "invalid_value",
}
"""From pydantic's error types to OpenAI's codes; types that end in ``_type`` are ``invalid_type``,
and bounds depend on the kind of number."""

_OTHER_ALTERNATIVE = ("_type", "literal_error")
"""Ends of the error types that only say that the value is meant for another part of a union."""

_LENGTHS = {"too_long", "too_short"}
_ABOVE = {"less_than", "less_than_equal"}
_BELOW = {"greater_than", "greater_than_equal"}


@dataclass(frozen=True)
class JsonBody(Generic[B]):
    """A dependency that reads the body as ``model``, which /openapi.json finds here."""

    model: type[B]

    async def __call__(self, request: Request) -> B:
        """The checked body. Raises InvalidRequest naming the field."""
        _require_json(request)
        body = await request.body()
        if len(body) < _LARGE_BYTES:
            return self.read(body)
        return await asyncio.to_thread(self.read, body)

    def read(self, body: bytes) -> B:
        """The checked body. Raises InvalidRequest or TooLarge."""
        return checked(self.model, _parsed(body))


def json_body(model: type[B]) -> JsonBody[B]:
    """How a route says what its body is."""
    return JsonBody(model)


def checked(model: type[B], body: Any) -> B:
    """``body`` as ``model``. Raises InvalidRequest for the first thing that is wrong."""
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_type")
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise _problem(error, body) from None


def _require_json(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")


def _parsed(body: bytes) -> Any:
    try:
        return parse(body)
    except (InvalidRequest, TooLarge) as error:
        raise type(error)(f"The body {error.message}.", code=error.code) from None


def _problem(error: ValidationError, body: Any) -> InvalidRequest:
    """Of several errors, the one that got furthest: in a union, the alternative that fits best."""
    details = max(
        error.errors(include_url=False, include_input=True),
        key=lambda item: (
            item["type"] in _BY_NAME,
            item["type"] == "extra_forbidden",
            not item["type"].endswith(_OTHER_ALTERNATIVE),
            len(item["loc"]),
        ),
    )
    param = _path(details["loc"], body, missing=details["type"] == "missing")
    reason = details["msg"].removeprefix("Value error, ")
    message = f"{param}: {reason}." if param else f"{reason}."
    return InvalidRequest(message[:_MAX_SHOWN], code=_code(details), param=param or None)


def _code(details: ErrorDetails) -> str:
    kind = details["type"]
    if kind in _LENGTHS and isinstance(details["input"], str):
        kind = f"string_{kind}"
    if kind in _BY_NAME:
        return kind
    bound = next(iter(details.get("ctx", {}).values()), None)
    number = "decimal" if isinstance(bound, float) else "integer"
    if kind in _ABOVE:
        return f"{number}_above_max_value"
    if kind in _BELOW:
        return f"{number}_below_min_value"
    return CODES.get(
        kind, "invalid_type" if kind.endswith(("_type", "_parsing")) else "invalid_value"
    )


def _path(location: Sequence[str | int], body: Any, *, missing: bool) -> str:
    """``messages[0].content``. Steps that only name a union's alternative are left out.

    They are not in the body; nor is the last step when it is ``missing``.
    """
    path, here = "", body
    for index, step in enumerate(location):
        last = index == len(location) - 1
        if isinstance(here, list) and isinstance(step, int) and step < len(here):
            path, here = f"{path}[{step}]", here[step]
        elif isinstance(here, dict) and (step in here or (last and missing)):
            path, here = f"{path}.{step}" if path else str(step), here.get(step)
    return path[:_MAX_SHOWN]
