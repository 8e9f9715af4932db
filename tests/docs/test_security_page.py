"""docs/security.md lists every rule, and the tests that it names exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = 45
ROW = re.compile(r"^\| S(\d+) \| (.+?) \| (.+?) \| (.*?) ?\|$")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")
MISSING = ("Not yet", "Does not apply")


def rows() -> list[tuple[int, str, str]]:
    """Number, how it is kept, and what shows it, of each rule."""
    page = (ROOT / "docs" / "security.md").read_text()
    found = (ROW.match(line) for line in page.splitlines())
    return [(int(row[1]), row[3], row[4]) for row in found if row]


def named() -> list[tuple[str, str]]:
    return sorted({test for _, _, shown in rows() for test in NAMED.findall(shown)})


def test_every_rule_has_a_line() -> None:
    assert [number for number, _, _ in rows()] == list(range(1, RULES + 1))


@pytest.mark.parametrize(("number", "how", "shown"), rows())
def test_a_rule_is_shown_by_tests_or_says_why_not(number: int, how: str, shown: str) -> None:
    tests = NAMED.findall(shown)
    assert tests or how.startswith(MISSING)
    assert len(tests) == shown.count("`") / 2, "something between the ticks is no test"


@pytest.mark.parametrize(("path", "name"), named())
def test_a_named_test_exists(path: str, name: str) -> None:
    body = ast.parse((ROOT / path).read_text()).body
    *classes, function = name.split("::")
    for step in classes:
        [body] = [node.body for node in body if isinstance(node, ast.ClassDef) if node.name == step]
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert function in {node.name for node in body if isinstance(node, functions)}
