"""One strict parse of a JSON body, and the naming of what is wrong with it.

The body is parsed once and re-serialised from the checked object, so that what was checked is what
runs (duplicate keys, odd numbers and lone surrogates never reach the engine).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
from fastapi import Request
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tunery_server.errors import InvalidRequest, UnsupportedMediaType
from tunery_server.gateway.protocol.base import Request as Body

B = TypeVar("B", bound=Body)

_MAX_SHOWN = 200

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
        return checked(self.model, await _parse(request))


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


async def _parse(request: Request) -> Any:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise InvalidRequest("The body is not valid JSON in UTF-8.", code="invalid_json") from None


def _problem(error: ValidationError, body: Any) -> InvalidRequest:
    """Of several errors, the one that got furthest: in a union, the alternative that fits best."""
    details = max(
        error.errors(include_url=False, include_input=True),
        key=lambda item: (
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
    number = "decimal" if isinstance(details["input"], float) else "integer"
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
