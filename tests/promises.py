"""Which promises the tests keep, told in one table.

A test that shows a promise under a fault says so: ``@pytest.mark.promise("P9", fault="…")``. Those
of ``tests/faults``, where it matters when a fault comes, are run as often as
``TUNERY_TEST_FAULT_ROUNDS`` says; but once what shares a thing that dies, and is marked ``once``,
and not at all what is marked ``long`` where nobody says how often.
``--write-promises`` renews what it tried in the table of docs/reliability.md.
"""

import ast
import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROUNDS = "TUNERY_TEST_FAULT_ROUNDS"
FAULTS = Path(__file__).with_name("faults")
PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- made by make faults -->\n", "<!-- end of what make faults makes -->\n"

TOOK_S = "took_s"
"""A test's ``record_property`` of this name says how long the thing promised has taken."""

PROMISES = {
    "P1": "A job that you got an id for is never lost",
    "P2": "A job may run again, its adapter is published once",
    "P3": "A dead worker is noticed within 30 s and its job goes on",
    "P4": "A long job never runs twice while its worker lives",
    "P5": "A frozen worker cannot overwrite newer work",
    "P6": "Recovery survives its own crash",
    "P7": "A job that kills its worker is stopped, not looped",
    "P8": "A resumed run gives the adapter of an undisturbed one",
    "P9": "A restart of Redis, or a database that is away, is a hiccup",
    "P10": "A Redis without room refuses, and corrupts nothing",
    "P11": "A full disk fails one job cleanly",
    "P12": "A job that runs out of memory takes nothing else down",
    "P13": "A cancel is obeyed within 10 s and survives crashes",
    "P14": "SIGTERM drops nothing",
    "P15": "A POST that is sent again makes one job",
    "P16": "When the engine dies every request is answered, and service returns",
    "P17": "A hung engine is found, a busy one is left alone",
    "P18": "No answer that was cut passes for a whole one",
    "P19": "A client that is gone frees the engine within 1 s",
    "P20": "Overload is refused fast, and ends",
    "P21": "One tenant cannot starve another",
    "P22": "A bad adapter hurts nobody else",
    "P23": "An answer comes from exactly the version that is named",
    "P24": "Limits are exact",
    "P25": "SIGKILL leaves no orphans",
    "P26": "It can run for weeks",
    "P27": "What is deleted is gone; what is another tenant's is not there",
    "P28": "Clock jumps do no harm",
    "P29": "What an earlier release wrote can be read",
}


UNTRIED = "not tried"


@dataclass
class Tally:
    """How one fault went."""

    held: int = 0
    broken: int = 0
    longest_s: float | None = None
    skipped: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        return self.held + self.broken

    @property
    def result(self) -> str:
        if self.broken:
            return f"BROKEN in {self.broken}"
        if not self.tried:
            return ": ".join([UNTRIED, *self.skipped[:1]])
        return "held" if self.longest_s is None else f"held, within {_shown(self.longest_s)}"


def _shown(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


Shown = tuple[str, str]
"""A promise's name, and a fault."""
Rows = dict[Shown, tuple[int, str]]
"""How often a fault was tried, and what came of it."""
ROW = re.compile(r"^\| (P\d+): .+? \| (.+?) \| (\d+) \| (.+?) \|$")

tallies: dict[Shown, Tally] = defaultdict(Tally)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-promises", action="store_true", help="renew docs/reliability.md")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    rounds = int(os.environ.get(ROUNDS, "1"))
    repeated = FAULTS in metafunc.definition.path.parents and "once" not in marks
    if "promise" in marks and repeated and rounds > 1:
        metafunc.fixturenames.append("fault_round")
        metafunc.parametrize("fault_round", range(rounds))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if ROUNDS not in os.environ and item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="make faults runs it"))
        for mark in item.iter_markers("promise"):
            shown = shows(*mark.args, **mark.kwargs)
            item.user_properties.append(("promise", shown))
            tallies[shown].skipped.clear()


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
            took = [value for name, value in report.user_properties if name == TOOK_S]
            tally.longest_s = max([*took, tally.longest_s or 0.0]) if took else tally.longest_s  # type: ignore[type-var, assignment]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if "promise" not in config.getoption("markexpr"):
        return
    found = {shown: (tally.tried, tally.result) for shown, tally in tallies.items()}
    terminalreporter.section("promises")
    terminalreporter.write(table(found))
    if config.getoption("--write-promises"):
        tried = {shown: row for shown, row in found.items() if row[0]}
        write(dict.fromkeys(marked(), (0, UNTRIED)) | found | written(PAGE.read_text()) | tried)


def table(found: Rows) -> str:
    """One row for each fault, promises in order."""
    order = list(PROMISES)
    lines = ["| promise | fault | tried | result |", "|---|---|---|---|"]
    for name, fault in sorted(found, key=lambda shown: (order.index(shown[0]), shown[1])):
        tried, result = found[name, fault]
        lines.append(f"| {name}: {PROMISES[name]} | {fault} | {tried} | {result} |")
    return "\n".join(lines) + "\n"


def marked() -> set[Shown]:
    """What the marks of all tests say, as far as they say it in so many words."""
    calls = (
        node
        for path in Path(__file__).parent.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "promise"
        and isinstance(node.args[0], ast.Constant)
    )
    return {(call.args[0].value, call.keywords[0].value.value) for call in calls}  # type: ignore[attr-defined]


def written(page: str) -> Rows:
    """The rows of a page."""
    rows = (ROW.match(line) for line in page.splitlines())
    return {(row[1], row[2]): (int(row[3]), row[4]) for row in rows if row}


def write(found: Rows) -> None:
    """Put a table in the place of the page's own."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}")
