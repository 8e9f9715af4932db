"""Which of two wires a request speaks: OpenAI's, or Anthropic's under one path.

They differ in the header that carries the key and in how an error looks.
"""

import contextlib
import enum
from collections.abc import Iterator
from contextvars import ContextVar

from starlette.types import Scope

MESSAGES_PATH = "/v1/messages"


class Wire(enum.Enum):
    """Whose client asks."""

    OPENAI = enum.auto()
    ANTHROPIC = enum.auto()


_current: ContextVar[Wire] = ContextVar("wire", default=Wire.OPENAI)


def wire_of(scope: Scope) -> Wire:
    """The wire of a request, by its path."""
    path = scope["path"]
    anthropic = path == MESSAGES_PATH or path.startswith(f"{MESSAGES_PATH}/")
    return Wire.ANTHROPIC if anthropic else Wire.OPENAI


@contextlib.contextmanager
def speaking(wire: Wire) -> Iterator[None]:
    """For the time of one request."""
    token = _current.set(wire)
    try:
        yield
    finally:
        _current.reset(token)


def current_wire() -> Wire:
    """Of the request that is being answered."""
    return _current.get()
