"""What the client's own tests call, and with what, read from their sources."""

import ast
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai import OpenAI

_CLIENTS = {"client", "async_client"}
_WRAPPERS = {"with_raw_response", "with_streaming_response"}
_NOT_LITERAL = object()


@dataclass(frozen=True)
class Call:
    """One call of a test: ``method`` as in ``files.create``, arguments by the method's names."""

    test: str
    method: str
    given: dict[str, Any]


def calls_in(root: Path, paths: Iterable[Path]) -> tuple[Call, ...]:
    """The calls of all tests in ``paths``, with their node ids relative to ``root``."""
    client = OpenAI(api_key="none")
    return tuple(call for path in paths for call in _calls(client, root, path))


def values(calls: Iterable[Call], *parameters: str, of: str | tuple[str, ...] = "") -> list[str]:
    """What the tests give as ``parameters`` to methods whose names begin with ``of``, in order."""
    found = {
        value
        for call in calls
        if call.method.startswith(of)
        for parameter in parameters
        for value in _each(call.given.get(parameter))
    }
    return sorted(found - {""})


def api_key(root: Path) -> str:
    """The key that the tests' own conftest sends."""
    tree = ast.parse((root / "tests" / "conftest.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "api_key":
            return str(ast.literal_eval(node.value))
    raise LookupError("the conftest names no api_key")


def _each(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))


def _calls(client: OpenAI, root: Path, path: Path) -> Iterator[Call]:
    for group in ast.parse(path.read_text()).body:
        if isinstance(group, ast.ClassDef):
            for test in group.body:
                if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef):
                    name = f"{path.relative_to(root)}::{group.name}::{test.name}"
                    yield from _calls_of(client, name, test)


def _calls_of(client: OpenAI, name: str, test: ast.AST) -> Iterator[Call]:
    for node in ast.walk(test):
        if isinstance(node, ast.Call):
            root, *steps = ast.unparse(node.func).split(".")
            if root in _CLIENTS:
                method = ".".join(step for step in steps if step not in _WRAPPERS)
                yield Call(name, method, _arguments(client, method, node))


def _arguments(client: OpenAI, method: str, node: ast.Call) -> dict[str, Any]:
    function: Any = client
    for step in method.split("."):
        function = getattr(function, step)
    names = list(inspect.signature(function).parameters)
    given = dict(zip(names, node.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    literals = {name: _literal(value) for name, value in given.items()}
    return {name: value for name, value in literals.items() if value is not _NOT_LITERAL}


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return _NOT_LITERAL
