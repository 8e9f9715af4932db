"""Who asks for a change: known from the door inwards, so that every record can say it."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A key, or a user of the server's own machine; which of the two is the field that is set."""

    tenant_id: str = ""
    """The key's."""
    key_id: str = ""
    user: str = ""
    address: str = ""
    request_id: str = ""
    clock: Callable[[], float] = time.time


_current: ContextVar[Actor | None] = ContextVar("actor", default=None)


@contextlib.contextmanager
def acting(actor: Actor | None) -> Iterator[None]:
    """For the time of one request or command; None until somebody is known."""
    token = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(token)


def identify(actor: Actor) -> None:
    """Say who it is, until the :func:`acting` around it ends."""
    _current.set(actor)


def current_actor() -> Actor | None:
    """Who asks; None for what the server does by itself."""
    return _current.get()
