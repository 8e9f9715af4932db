"""Ctrl-C while something on the server is watched."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from ._output import stderr

DETACHED = 130
"""Exit status, as shells have it for SIGINT."""


@contextmanager
def detaching(thing: str, command: str) -> Iterator[None]:
    """Ctrl-C ends the watching alone, and says how to come back."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stderr.print(f"Detached; the {thing} goes on. Come back with: {command}")
        raise typer.Exit(DETACHED) from stop
