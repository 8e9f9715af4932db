"""Aliases in the record: one revision after another, each whole."""

import threading

import pytest

from tests.contract.paged import pages
from tests.rows import NOW, a_revision
from tunery_server.errors import InvalidRequest
from tunery_server.records.aliases import AliasRecords
from tunery_server.records.database import Database


@pytest.fixture
def aliases(database: Database) -> AliasRecords:
    return AliasRecords(database)


def test_the_newest_revision_is_what_a_name_means(aliases: AliasRecords) -> None:
    revisions = [a_revision(revision=n, model=f"ft:{n}", comparison={"n": n}) for n in range(1, 4)]
    for revision in revisions:
        assert aliases.add(revision)
    assert aliases.newest("acme", "bot") == revisions[-1]
    assert aliases.history("acme", "bot", before=None, limit=10) == tuple(reversed(revisions))
    assert aliases.history("acme", "bot", before=3, limit=1) == (revisions[1],)


def test_of_two_moves_at_once_one_comes_too_late(database: Database) -> None:
    AliasRecords(database).add(a_revision())
    results: list[bool] = []

    def move(model: str) -> None:
        moved = AliasRecords(database).add(a_revision(revision=2, model=model))
        results.append(moved)

    movers = [threading.Thread(target=move, args=(f"ft:{n}",)) for n in range(8)]
    for mover in movers:
        mover.start()
    for mover in movers:
        mover.join()
    assert sorted(results) == [False] * 7 + [True]
    assert len(AliasRecords(database).history("acme", "bot", before=None, limit=10)) == 2


def test_a_list_holds_each_name_once_and_no_deleted_one(aliases: AliasRecords) -> None:
    for number in range(5):
        aliases.add(a_revision(name=f"bot-{number}", created_at=NOW + number))
        aliases.add(a_revision(name=f"bot-{number}", revision=2, created_at=NOW + number))
    aliases.add(a_revision(name="bot-3", revision=3, model=None))
    names = pages(lambda after: aliases.list("acme", after=after, limit=2), by="name")
    assert names == ["bot-4", "bot-2", "bot-1", "bot-0"]
    assert all(alias.revision == 2 for alias in aliases.list("acme", after=None, limit=9).items)


def test_another_tenants_names_do_not_exist(aliases: AliasRecords) -> None:
    aliases.add(a_revision())
    assert aliases.newest("rival", "bot") is None
    assert aliases.history("rival", "bot", before=None, limit=1) == ()
    assert aliases.list("rival", after=None, limit=1).items == ()
    assert aliases.pointing_to("rival", "ft:base:tunery::x") == ()
    with pytest.raises(InvalidRequest):
        aliases.list("rival", after="bot", limit=1)


def test_what_an_alias_uses_is_known_by_what_it_means_at_last(aliases: AliasRecords) -> None:
    aliases.add(a_revision(model="ft:1", canary="ft:2", canary_weight=0.1, shadow="ft:3"))
    for model in ("ft:1", "ft:2", "ft:3"):
        assert aliases.pointing_to("acme", model) == ("bot",)
    aliases.add(a_revision(revision=2, model="ft:2"))
    assert [aliases.pointing_to("acme", f"ft:{n}") for n in (1, 2, 3)] == [(), ("bot",), ()]
