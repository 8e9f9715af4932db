"""Sums of usage: exact whoever adds, and told apart as asked."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.queues import until
from tunery_server.records.database import Database
from tunery_server.records.usage import UsageRecords, add_usage
from tunery_server.records.usage_rows import HOUR_S, Amounts, UsageKey, UsageQuery

DAY_S = 24 * HOUR_S
START = 20_000 * DAY_S
ONE = Amounts(requests=1, input_tokens=10, cached_tokens=4, output_tokens=3)


@pytest.fixture
def usage(database: Database) -> UsageRecords:
    return UsageRecords(database)


def a_key(hour: int = 0, **values: object) -> UsageKey:
    chosen = {"tenant_id": "acme", "key_id": "key-1", "model": "base", **values}
    return UsageKey(hour=START + hour * HOUR_S, **chosen)  # type: ignore[arg-type]


def test_gateways_that_add_at_once_lose_nothing(database: Database) -> None:
    def add() -> None:
        records = UsageRecords(database)
        for _ in range(25):
            records.add([(a_key(), ONE), (a_key(model="ft:x"), ONE)])

    gateways = [threading.Thread(target=add) for _ in range(4)]
    for gateway in gateways:
        gateway.start()
    for gateway in gateways:
        gateway.join()
    rows = UsageRecords(database).sums(UsageQuery(start=START, end=START + DAY_S, by=("model",)))
    assert {row.key.model: row.amounts for row in rows} == {
        "base": Amounts(100, 1000, 400, 300),
        "ft:x": Amounts(100, 1000, 400, 300),
    }


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_gateways_that_add_the_same_in_any_order_do_not_wait_in_a_ring(database: Database) -> None:
    first, second = a_key(model="a"), a_key(model="b")

    def blocked() -> bool:
        query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        with database.reading() as connection:
            return bool(connection.execute(query).scalar_one())

    UsageRecords(database).add([(first, ONE), (second, ONE)])
    with ThreadPoolExecutor(1) as another:
        with database.writing() as connection:
            add_usage(connection, [(first, ONE)])
            adding = another.submit(UsageRecords(database).add, [(second, ONE), (first, ONE)])
            until(blocked, within_s=60)
            add_usage(connection, [(second, ONE)])
        adding.result(60)
    asked = UsageQuery(start=START, end=START + DAY_S, by=("model",))
    assert [row.amounts.requests for row in UsageRecords(database).sums(asked)] == [3, 3]


def test_sums_are_by_period_and_by_what_is_told_apart(usage: UsageRecords) -> None:
    entries = [a_key(hour, key_id=key) for hour in (0, 23, 24, 47) for key in ("key-1", "key-2")]
    usage.add([(key, ONE) for key in entries])
    days = usage.sums(UsageQuery(start=START, end=START + 2 * DAY_S, width_s=DAY_S))
    assert [(row.key.hour, row.amounts.requests) for row in days] == [
        (START, 4),
        (START + DAY_S, 4),
    ]
    assert all(row.key.key_id == row.key.tenant_id == "" for row in days)
    keys = usage.sums(UsageQuery(start=START, end=START + DAY_S, width_s=DAY_S, by=("key_id",)))
    assert [(row.key.key_id, row.amounts.requests) for row in keys] == [("key-1", 2), ("key-2", 2)]


@pytest.mark.parametrize(
    ("chosen", "requests"),
    [
        ({}, 4),
        ({"tenants": ["acme"]}, 3),
        ({"keys": ["key-2"]}, 1),
        ({"models": ["ft:x"]}, 1),
        ({"background": True}, 1),
        ({"background": False}, 3),
        ({"tenants": []}, 0),
    ],
)
def test_sums_of_some(usage: UsageRecords, chosen: dict[str, object], requests: int) -> None:
    differing = ({"tenant_id": "rival"}, {"key_id": "key-2"}, {"model": "ft:x", "background": True})
    usage.add([(a_key(), ONE), *((a_key(**one), ONE) for one in differing)])
    rows = usage.sums(UsageQuery(start=START, end=START + DAY_S, **chosen))  # type: ignore[arg-type]
    assert sum(row.amounts.requests for row in rows) == requests


def test_the_end_is_not_part_of_the_range(usage: UsageRecords) -> None:
    usage.add([(a_key(0), ONE), (a_key(1), ONE)])
    assert len(usage.sums(UsageQuery(start=START, end=START + HOUR_S))) == 1
    assert usage.sums(UsageQuery(start=START + 2 * HOUR_S, end=START + DAY_S)) == ()


def test_sums_outlive_the_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'record.db'}"
    first = Database(url)
    first.migrate()
    UsageRecords(first).add([(a_key(), ONE)])
    first.close()
    second = Database(url)
    assert UsageRecords(second).sums(UsageQuery(start=START, end=START + DAY_S))[0].amounts == ONE
    second.close()
