"""One creating request makes one object, however often and by however many it is sent."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tests.rows import NOW, a_file
from tunery_server.errors import IdempotencyKeyReused
from tunery_server.ids import new_id
from tunery_server.records import idempotency
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.idempotency import KEPT_S, REPEATED_WITHIN_S, Sending
from tunery_server.records.tables import files
from tunery_server.records.tables import idempotency as rows

Send = Callable[..., str]


@pytest.fixture
def send(database: Database) -> Send:
    """Add a file, as a service does; the id of the file that stands."""
    records = FileRecords(database)

    def send(
        sending: Sending,
        content: object = "body",
        *,
        tenant_id: str = "acme",
        now: float = NOW,
        operation: str = "files",
    ) -> str:
        submission = sending.of(operation, content, tenant_id=tenant_id, now=now)
        return records.add(a_file(id=new_id("file-"), tenant_id=tenant_id), submission)

    return send


KEYED, FIRST, SECOND, THIRD = Sending("k", 0), Sending(None, 0), Sending(None, 1), Sending(None, 2)


def count(database: Database) -> int:
    with database.reading() as connection:
        return len(connection.execute(select(files)).all())


def test_three_tries_of_one_request_make_one_object(database: Database, send: Send) -> None:
    assert len({send(sending) for sending in (FIRST, SECOND, THIRD)}) == 1
    assert count(database) == 1


def test_tries_may_come_in_any_order(send: Send) -> None:
    """The first try may be stuck in a proxy while the second one gets through."""
    assert len({send(sending) for sending in (SECOND, FIRST, THIRD)}) == 1


def test_a_try_that_was_seen_already_is_a_new_request(send: Send) -> None:
    one, two = send(FIRST), send(FIRST)
    assert one != two
    assert send(SECOND) == two
    assert send(SECOND) == one
    assert send(SECOND) not in {one, two}


def test_a_request_without_any_sign_is_new(send: Send) -> None:
    assert send(Sending()) != send(Sending())


@pytest.mark.parametrize(
    ("first", "repeat", "kept_s"),
    [(KEYED, KEYED, KEPT_S), (FIRST, SECOND, REPEATED_WITHIN_S)],
    ids=["key", "count"],
)
def test_a_repeat_has_to_come_in_time(
    database: Database, send: Send, first: Sending, repeat: Sending, kept_s: float
) -> None:
    soon, late = send(first, "soon"), send(first, "late", tenant_id="other")
    assert send(repeat, "soon", now=NOW + kept_s - 1) == soon
    assert send(repeat, "late", tenant_id="other", now=NOW + kept_s) != late


def test_each_try_may_wait_as_long_as_the_client_does(send: Send) -> None:
    waited_s = 605.0
    tries = [
        send(sending, now=NOW + number * waited_s)
        for number, sending in enumerate((FIRST, SECOND, THIRD))
    ]
    assert len(set(tries)) == 1


def test_what_has_expired_is_swept(database: Database, send: Send) -> None:
    for number in range(3):
        send(Sending(f"k{number}"))
    send(FIRST, now=NOW + KEPT_S)
    with database.reading() as connection:
        assert [row.retry_counts for row in connection.execute(select(rows))] == [[0]]


def test_a_key_stands_for_one_body(send: Send) -> None:
    first = send(KEYED)
    with pytest.raises(IdempotencyKeyReused):
        send(KEYED, "another body")
    assert send(Sending("k", 2)) == first


@pytest.mark.parametrize("sending", [KEYED, SECOND], ids=["key", "count"])
@pytest.mark.parametrize(
    "change", [{"tenant_id": "rival"}, {"operation": "uploads"}], ids=["tenant", "operation"]
)
def test_tenants_and_operations_do_not_meet(
    send: Send, sending: Sending, change: dict[str, str]
) -> None:
    first = send(KEYED if sending is KEYED else FIRST)
    assert send(sending, **change) != first


def test_another_body_without_a_key_is_another_request(send: Send) -> None:
    assert send(FIRST, {"a": 1}) != send(SECOND, {"a": 2})
    assert send(FIRST, {"a": 1, "b": 2}) == send(SECOND, {"b": 2, "a": 1})


@pytest.mark.promise("P15", fault="50 sendings at once reach the record")
@pytest.mark.parametrize(
    "sendings",
    [[KEYED] * 50, [Sending(None, number) for number in range(50)]],
    ids=["key", "count"],
)
def test_fifty_sendings_at_once_make_one_object(
    database: Database, send: Send, sendings: list[Sending]
) -> None:
    with ThreadPoolExecutor(50) as pool:
        assert len(set(pool.map(send, sendings))) == 1
    assert count(database) == 1


@pytest.mark.promise("P15", fault="two transactions look before either writes")
def test_the_database_settles_a_race(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where two transactions look before either writes, as on Postgres, the loser looks again."""
    submission = KEYED.of("files", "body", tenant_id="acme", now=NOW)
    assert submission is not None
    winner, loser = a_file(), a_file()
    FileRecords(database).add(winner, submission)
    look, looks = idempotency._known, 0

    def early_look(*arguments: Any) -> Any:
        nonlocal looks
        looks += 1
        return [] if looks == 1 else look(*arguments)

    monkeypatch.setattr(idempotency, "_known", early_look)
    assert FileRecords(database).add(loser, submission) == winner.id
    assert looks == 2
    assert count(database) == 1


def test_an_object_that_cannot_be_written_leaves_no_trace(database: Database) -> None:
    file = a_file()
    FileRecords(database).add(file)
    submission = KEYED.of("files", "body", tenant_id="acme", now=NOW)
    with pytest.raises(IntegrityError):
        FileRecords(database).add(file, submission)
    with database.reading() as connection:
        assert connection.execute(select(rows)).all() == []


def test_a_deleted_object_is_made_anew(database: Database, send: Send) -> None:
    first = send(KEYED)
    FileRecords(database).delete("acme", first)
    assert send(KEYED) != first
