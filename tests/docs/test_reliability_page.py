"""docs/reliability.md has a row for every promise and for every fault that a test tries."""

import re
from pathlib import Path

import pytest

from tests.faults.test_crash_points import promised
from tests.promises import PAGE, PROMISES, UNTRIED, Shown, marked, shows, written
from tunery_adapters.fault import Point

MAKEFILE = Path(__file__).parents[2] / "Makefile"
ROWS = written(PAGE.read_text())
RENEW = "run 'make faults WRITE=1'"


def points() -> set[Shown]:
    """Whatever crash has a name."""
    marks = (mark for point in Point for mark in promised(point).marks)
    return {shows(*mark.args, **mark.kwargs) for mark in marks}


def test_every_fault_has_a_row_and_every_row_a_fault() -> None:
    assert ROWS.keys() == marked() | points(), RENEW


@pytest.mark.parametrize("name", PROMISES)
def test_a_promise_is_on_the_page_and_was_not_broken(name: str) -> None:
    mine = [row for (promise, _), row in ROWS.items() if promise == name]
    assert mine, RENEW
    for tried, result in mine:
        assert result.startswith("held" if tried else UNTRIED), RENEW
    assert f"| {name}: {PROMISES[name]} |" in PAGE.read_text()


def test_the_page_names_the_command() -> None:
    assert "`make faults`" in PAGE.read_text()
    assert re.search(r"^faults:", MAKEFILE.read_text(), re.MULTILINE)
