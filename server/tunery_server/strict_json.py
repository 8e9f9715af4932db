"""JSON as clients send it: read once, strictly, and bounded before it costs anything."""

import contextlib
import gc
import json
from collections.abc import Iterator
from typing import Any

import orjson

from tunery_server.errors import InvalidRequest, TooLarge

MAX_MARKS = 2**17
"""Brackets, colons and quotes: each begins a value that costs a hundred times its bytes."""

_MARKS = b'[{:"'


def parse(text: bytes) -> Any:
    """The value. Refuses what is not JSON in UTF-8, NaN, numbers beyond floats, lone surrogates,
    and more than a thousand levels.

    Raises InvalidRequest or TooLarge; the message is the rest of a sentence about the text.
    """
    if sum(text.count(mark) for mark in _MARKS) > MAX_MARKS:
        raise TooLarge(f"holds more than {MAX_MARKS} brackets, colons and quotes")
    try:
        with _uncollected():
            return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidRequest("is not valid JSON in UTF-8", code="invalid_json") from None


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without looking for cycles, of which JSON has none, among everything that the process holds.

    A parse makes so many objects that it would be done several times in between.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def repeats_a_key(text: bytes, value: Any) -> bool:
    """Whether an object in ``text``, which was parsed to ``value``, has some key twice.

    Each key has a colon, so that one that was dropped is missed when ``value`` is written again;
    only a text that also escapes a colon has to be read by a slower parser.
    """
    if text.count(b":") == orjson.dumps(value).count(b":") and b"\\u003" not in text:
        return False
    repeated = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        repeated = repeated or len(dict(pairs)) < len(pairs)

    json.loads(text, object_pairs_hook=look)
    return repeated


def is_deeper(value: Any, levels: int) -> bool:
    """Whether objects and arrays nest further than ``levels``."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
    return bool(level)
