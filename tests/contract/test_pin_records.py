"""As many adapters are pinned as may be, however many ask at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.rows import an_adapter
from tunery_server.errors import QuotaExceeded
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.pins import PinQuota, PinRecords
from tunery_server.records.rows import Adapter

TENANTS = ("acme", "rival")


@pytest.fixture
def adapters(database: Database) -> list[Adapter]:
    made = [an_adapter(tenant_id=TENANTS[number % 2]) for number in range(30)]
    for adapter in made:
        AdapterRecords(database).add(adapter)
    return made


@pytest.mark.parametrize(
    ("quota", "pinned"),
    [(PinQuota(per_tenant=3, together=100), 6), (PinQuota(per_tenant=100, together=5), 5)],
    ids=["per tenant", "together"],
)
def test_those_that_ask_at_once_share_the_places(
    database: Database, adapters: list[Adapter], quota: PinQuota, pinned: int
) -> None:
    records = PinRecords(database, quota)

    def pin(adapter: Adapter) -> bool:
        try:
            return records.set(adapter, pinned=True).pinned
        except QuotaExceeded:
            return False

    with ThreadPoolExecutor(len(adapters)) as pool:
        assert sum(pool.map(pin, adapters)) == pinned
    assert len(records.pinned()) == pinned
    records.set(records.pinned()[0], pinned=True)
