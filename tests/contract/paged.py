"""A list read as a client reads it: page after page."""

from collections.abc import Callable
from typing import Any

from tunery_server.records.rows import Page


def pages(fetch: Callable[[str | None], Page[Any]], *, by: str = "id") -> list[str]:
    """The names of all items, fetched page after page as a client does."""
    found: list[str] = []
    while True:
        page = fetch(found[-1] if found else None)
        found += [getattr(item, by) for item in page.items]
        if not page.has_more:
            return found
