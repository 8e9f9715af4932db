"""Files, functions and names keep to the house style."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("server", "adapters", "clients", "deploy", "examples", "benchmarks", "tests")
LONGEST_FILE = 400
LONGEST_FUNCTION = 40
VAGUE = re.compile(r"(^|_)(utils?|common|helpers?|managers?|misc)(_|$)")

MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _functions(module: Path) -> Iterator[tuple[str, int]]:
    """Yield each function's name and the lines of its body, docstring and signature left out."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, FUNCTIONS):
            code = node.body[1:] if ast.get_docstring(node) is not None else node.body
            first, last = (code or node.body)[0], node.end_lineno or 0
            yield node.name, last - first.lineno + 1


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_small(module: Path) -> None:
    lines = len(module.read_text().splitlines())
    assert lines <= LONGEST_FILE, f"{lines} lines: give one of its nouns a file of its own"
    if "migrations" in module.parts:
        return  # a migration is a list of columns, and is frozen once it was released
    long = {name: length for name, length in _functions(module) if length > LONGEST_FUNCTION}
    assert not long, f"functions of more than {LONGEST_FUNCTION} lines: {long}"


def test_names_say_what_is_inside() -> None:
    names = {part for module in MODULES for part in (module.stem, module.parent.name)}
    assert not [name for name in sorted(names) if VAGUE.search(name)]


def test_the_folders_were_found() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} >= {"server", "adapters", "tests"}
