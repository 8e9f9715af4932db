from collections.abc import AsyncIterator

import pytest

from tests.receivers import Receiver
from tests.rows import NOW
from tunery_server.records.database import Database
from tunery_server.records.outbox import Outbox
from tunery_server.records.webhooks import EndpointRecords


class SetClock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def endpoints(database: Database) -> EndpointRecords:
    return EndpointRecords(database)


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)
