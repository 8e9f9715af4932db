"""Prints the table of docs/parameters.md: ``python docs/parameters_table.py --write`` renews it."""

from typing import Any

from made_page import renewed, tell

from tunery_server.gateway.protocol.chat import ChatRequest
from tunery_server.gateway.protocol.completions import CompletionRequest
from tunery_server.gateway.protocol.sampling import NOT_FORWARDED

REQUESTS: tuple[type[ChatRequest | CompletionRequest], ...] = (ChatRequest, CompletionRequest)
USED_HERE = {"model", "stream_options"}
"""Not forwarded as they are, and yet they change the answer."""

_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} keys",
}


def table() -> str:
    """One line for each field: what becomes of it in a chat and in a text completion."""
    lines = ["| field | chat | completions | bounds |", "|---|---|---|---|"]
    names = sorted({name for request in REQUESTS for name in request.model_fields})
    for name in names:
        fates = " | ".join(fate(request, name) for request in REQUESTS)
        lines.append(f"| `{name}` | {fates} | {_bounds(name)} |")
    return "\n".join(lines) + "\n"


def fate(request: type[ChatRequest | CompletionRequest], name: str) -> str:
    """``used``, ``ignored`` or ``refused``; nothing for a field of the other request."""
    field = request.model_fields.get(name)
    if field is None:
        return ""
    if field.annotation is type(None):
        return "refused"
    return "ignored" if name in NOT_FORWARDED - USED_HERE else "used"


def _bounds(name: str) -> str:
    schemas = [request.model_json_schema()["properties"].get(name, {}) for request in REQUESTS]
    schema = next(filter(None, schemas))
    parts = [schema, *schema.get("anyOf", [])]
    told = [
        _BOUNDS[word].format(_number(part[word]))
        for part in parts
        for word in _BOUNDS.keys() & part.keys()
    ]
    return ", ".join(sorted(set(told)))


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def page() -> str:
    """The whole page with a fresh table."""
    return renewed(__file__, table())


if __name__ == "__main__":
    tell(__file__, table())
