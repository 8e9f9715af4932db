"""Server-sent events as the standard reads them, line by line."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class Sent:
    """What one empty line dispatches; a comment comes as it is, alone."""

    id: str | None = None
    data: str = ""
    comment: bool = False

    @property
    def json(self) -> Any:
        return orjson.loads(self.data)


async def sent(lines: AsyncIterator[str]) -> AsyncIterator[Sent]:
    """Every event and comment, as soon as its last line is there."""
    last_id: str | None = None
    data: list[str] = []
    async for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            assert data, "an empty line that ends no event"
            yield Sent(last_id, "\n".join(data))
            last_id, data = None, []
        elif not name:
            yield Sent(comment=True)
        elif name == "id":
            last_id = value
        else:
            assert name == "data", line
            data.append(value)
    assert not data, "half an event at the end"
