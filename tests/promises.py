"""Which promises the tests keep, told in one table.

A test that shows a promise under a fault says so: ``@pytest.mark.promise("P9", fault="…")``. Each
is run once, or as often as ``TUNERY_TEST_FAULT_ROUNDS`` says; what shares the one engine of a
session is run once. ``--write-promises`` puts the table into docs/reliability.md.
"""

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- made by make faults -->\n", "<!-- end of what make faults makes -->\n"

PROMISES = {
    "P1": "A job that you got an id for is never lost",
    "P2": "A job may run again, its adapter is published once",
    "P3": "A dead worker is noticed within 30 s and its job goes on",
    "P4": "A long job never runs twice while its worker lives",
    "P5": "A frozen worker cannot overwrite newer work",
    "P6": "Recovery survives its own crash",
    "P7": "A job that kills its worker is stopped, not looped",
    "P8": "A resumed run gives the adapter of an undisturbed one",
    "P9": "A restart of Redis is a hiccup",
    "P10": "A Redis without room refuses, and corrupts nothing",
    "P11": "A full disk fails one job cleanly",
    "P12": "A job that runs out of memory takes nothing else down",
    "P13": "A cancel is obeyed within 10 s and survives crashes",
    "P14": "SIGTERM drops nothing",
    "P15": "A POST that is sent again makes one job",
    "P28": "Clock jumps do no harm",
    "P29": "What an earlier release wrote can be read",
}


@dataclass
class Tally:
    """How one fault went."""

    held: int = 0
    broken: int = 0
    skipped: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        return self.held + self.broken

    @property
    def result(self) -> str:
        if self.broken:
            return f"BROKEN in {self.broken}"
        if not self.tried:
            return f"not tried: {self.skipped[0]}"
        return "held"


Shown = tuple[str, str]
tallies: dict[Shown, Tally] = defaultdict(Tally)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-promises", action="store_true", help="renew docs/reliability.md")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    rounds = int(os.environ.get("TUNERY_TEST_FAULT_ROUNDS", "1"))
    if "promise" in marks and "engine" not in marks and rounds > 1:
        metafunc.fixturenames.append("fault_round")
        metafunc.parametrize("fault_round", range(rounds))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("promise"):
            shown = shows(*mark.args, **mark.kwargs)
            item.user_properties.append(("promise", shown))


def shows(name: str, *, fault: str) -> Shown:
    """What a mark says. Raises KeyError for a promise that is none."""
    PROMISES[name]
    return name, fault


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for shown in (value for name, value in report.user_properties if name == "promise"):
        tally = tallies[shown]  # type: ignore[index]
        if report.failed:
            tally.broken += 1
        elif report.skipped:
            tally.skipped.append(str(report.longrepr[2] if report.longrepr else ""))  # type: ignore[index]
        elif report.when == "call":
            tally.held += 1


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if "promise" not in config.getoption("markexpr"):
        return
    terminalreporter.section("promises")
    terminalreporter.write(table(tallies))
    if config.getoption("--write-promises"):
        write(table(tallies))


def table(tallies: dict[Shown, Tally]) -> str:
    """One row for each fault, promises in order."""
    order = list(PROMISES)
    lines = ["| promise | fault | tried | result |", "|---|---|---|---|"]
    for name, fault in sorted(tallies, key=lambda shown: (order.index(shown[0]), shown[1])):
        tally = tallies[name, fault]
        lines.append(f"| {name}: {PROMISES[name]} | {fault} | {tally.tried} | {tally.result} |")
    return "\n".join(lines) + "\n"


def write(text: str) -> None:
    """Put a table in the place of the page's own."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
