"""Who gives up a place in the engine's main memory."""

import pytest

from tunery_server.serving.ram_tier import RECENT_S, RamTier


def tier(places: int, **owners: str) -> RamTier:
    """Adapters that were loaded one second after the other, the first one at 0."""
    made = RamTier(places)
    for second, (name, owner) in enumerate(owners.items()):
        made.add(name, owner, second)
    return made


def test_one_place_in_eight_is_spare() -> None:
    assert tier(16, a="acme").surplus(13) == 0
    assert tier(16, a="acme").surplus(14) == 1
    assert tier(4, a="acme").surplus(3) == 0


@pytest.mark.parametrize(("coming", "leaver"), [("acme", "a1"), ("rival", "a1"), ("third", "a1")])
def test_whoever_holds_the_most_gives_up_its_least_recently_used(coming: str, leaver: str) -> None:
    crowd = tier(4, r1="rival", a1="acme", a2="acme", a3="acme")
    assert crowd.leaver((), coming, 10.0) == leaver


def test_a_tenant_that_would_hold_the_most_drives_out_its_own() -> None:
    even = tier(4, r1="rival", r2="rival", a1="acme", a2="acme")
    assert even.leaver((), "acme", 10.0) == "a1"
    assert even.leaver((), "rival", 10.0) == "r1"


def test_use_counts_and_not_age() -> None:
    crowd = tier(2, a="acme", b="acme")
    crowd.use("a", 5.0)
    assert crowd.leaver((), "acme", 6.0) == "b"


def test_what_has_long_been_idle_goes_first_whosever_it_is() -> None:
    crowd = tier(4, idle="rival", a1="acme", a2="acme", a3="acme")
    for name in ("a1", "a2", "a3"):
        crowd.use(name, RECENT_S - 1)
    assert crowd.leaver((), "acme", RECENT_S) == "idle"


def test_busy_ones_never_go_and_pinned_ones_last() -> None:
    crowd = tier(3, a="acme", b="acme", c="acme")
    crowd.pinned = frozenset({"a", "b"})
    assert crowd.leaver((), "acme", 9.0) == "c"
    assert crowd.leaver({"c"}, "acme", 9.0) == "a"
    assert crowd.leaver({"a", "b", "c"}, "acme", 9.0) is None


def test_a_restart_takes_what_is_to_come_back_most_recently_used_first() -> None:
    crowd = tier(4, a="acme", b="acme", c="rival")
    crowd.use("a", 7.0)
    crowd.lost()
    assert (len(crowd), "a" in crowd) == (0, False)
    crowd.observe({"b"}, 8.0, restarted=True)
    assert crowd.missing() == ("a", "c")
    crowd.observe({"b"}, 9.0, restarted=False)
    assert crowd.missing() == (), "somebody else unloaded them"


def test_no_more_come_back_than_there_are_places_for() -> None:
    crowd = tier(2, a="acme", b="acme", c="acme")
    crowd.observe((), 9.0, restarted=True)
    assert crowd.missing() == ("c", "b")


def test_what_was_unloaded_does_not_come_back() -> None:
    crowd = tier(2, a="acme", b="acme")
    crowd.remove("a")
    crowd.observe((), 9.0, restarted=True)
    assert crowd.missing() == ("b",)
