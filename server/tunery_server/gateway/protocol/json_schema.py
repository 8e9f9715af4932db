"""JSON schemas that become a grammar for the answer, kept small enough to be one in no time.

The keywords are those of JSON Schema 2020-12; where they hold schemas is known, so that a property
may be called ``pattern``.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from tunery_server.errors import InvalidRequest

Schema = dict[str, Any]

MAX_BYTES = 2**15
MAX_PROPERTIES = 400
MAX_ITEMS = 10_000
"""Of all ``minItems`` and ``maxItems`` of a schema together."""

REFUSED = ("pattern", "patternProperties", "propertyNames", "$dynamicRef", "$recursiveRef", "$id")
"""Regular expressions, and references that only a whole implementation of the standard follows."""

_MAPS = ("properties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = (
    "items", "additionalProperties", "additionalItems", "contains", "not", "if", "then", "else",
    "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_ALTERNATIVES = ("anyOf", "oneOf", "allOf")
"""What a reference may lead to without anything having been written in between."""


def check_grammar(schema: Schema, *, param: str) -> None:
    """Raises InvalidRequest for what the engine could not turn into a grammar at once."""
    if reason := _fault(schema):
        raise InvalidRequest(f"{param}: the JSON schema {reason}.", param=param)


def _fault(schema: Schema) -> str | None:
    if len(orjson.dumps(schema)) > MAX_BYTES:
        return f"is larger than {MAX_BYTES} bytes"
    nodes = list(_nodes(schema))
    if named := [word for word in REFUSED if any(word in node for node in nodes)]:
        return f"holds {named[0]!r}, which this server does not offer"
    if sum(len(_mapping(node, "properties")) for node in nodes) > MAX_PROPERTIES:
        return f"has more than {MAX_PROPERTIES} properties"
    if sum(map(_items, nodes)) > MAX_ITEMS:
        return f"asks for more than {MAX_ITEMS} items"
    return _reference_fault(schema, nodes)


def _nodes(schema: Any) -> Iterator[Schema]:
    """The schema and all schemas in it; its depth was bounded before."""
    if not isinstance(schema, dict):
        return
    yield schema
    for child in _children(schema):
        yield from _nodes(child)


def _children(schema: Schema) -> Iterator[Any]:
    for word in _MAPS:
        yield from _mapping(schema, word).values()
    for word in _LISTS:
        yield from _listed(schema, word)
    for word in _SINGLE:
        child = schema.get(word)
        yield from child if isinstance(child, list) else [child]


def _mapping(schema: Schema, word: str) -> dict[str, Any]:
    value = schema.get(word)
    return value if isinstance(value, dict) else {}


def _listed(schema: Schema, word: str) -> list[Any]:
    value = schema.get(word)
    return value if isinstance(value, list) else []


def _items(schema: Schema) -> int:
    counts = (schema.get("minItems"), schema.get("maxItems"))
    return sum(count for count in counts if isinstance(count, int))


def _reference_fault(schema: Schema, nodes: list[Schema]) -> str | None:
    targets = {"#": schema}
    for word in ("$defs", "definitions"):
        for name, target in _mapping(schema, word).items():
            targets[f"#/{word}/{name}"] = target
    unknown = [node for node in nodes if "$ref" in node and _target(node, targets) is None]
    if unknown:
        return "holds a '$ref' that leads neither to '#' nor to one of its own '$defs'"
    return "holds a '$ref' that leads back to itself" if _loops(nodes, targets) else None


def _target(node: Schema, targets: dict[str, Schema]) -> Schema | None:
    reference = node.get("$ref")
    return targets.get(reference) if isinstance(reference, str) else None


def _loops(nodes: list[Schema], targets: dict[str, Schema]) -> bool:
    """Whether some schema is reached from itself by references and alternatives alone."""
    reached = {id(node): _reached(node, targets) for node in nodes}
    finished: dict[int, bool] = {}
    path = list(reached)
    while path:
        here = path[-1]
        if here in finished:
            finished[path.pop()] = True
            continue
        finished[here] = False
        if any(finished.get(following) is False for following in reached[here]):
            return True
        path += [following for following in reached[here] if following not in finished]
    return False


def _reached(node: Schema, targets: dict[str, Schema]) -> set[int]:
    alternatives = [child for word in _ALTERNATIVES for child in _listed(node, word)]
    followed = [_target(node, targets), *alternatives]
    return {id(child) for child in followed if isinstance(child, dict)}
