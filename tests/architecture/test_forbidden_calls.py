"""What no code of ours does: run data as code, load pickles, hand words to a shell."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path for folder in ("server", "adapters", "clients") for path in (ROOT / folder).rglob("*.py")
)

UNPICKLING = {"pickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
"""Reading any of these runs what is in the file."""

BUILT_IN = {"eval", "exec", "compile", "__import__"}
METHODS = {"system", "popen", "extractall", "unpack_archive"}
LOADING = {("torch", "load"), ("yaml", "load"), ("numpy", "load"), ("np", "load")}


def nodes(kind: type[ast.AST]) -> Iterator[tuple[Path, ast.AST]]:
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, kind):
                yield module.relative_to(ROOT), node


def test_nothing_unpickles() -> None:
    imported = {
        (path, name.split(".")[0]) for path, node in nodes(ast.stmt) for name in imports_of(node)
    }
    assert len(imported) > 100
    assert not {(path, name) for path, name in imported if name in UNPICKLING}


def imports_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def calls() -> Iterator[tuple[Path, ast.Call, str | None, str]]:
    """Every call: where, the node, what stands before the last dot if there is one, the name."""
    for path, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        function = node.func
        if isinstance(function, ast.Attribute):
            owner = function.value.id if isinstance(function.value, ast.Name) else ""
            yield path, node, owner, function.attr
        elif isinstance(function, ast.Name):
            yield path, node, None, function.id


def test_nothing_runs_data() -> None:
    for path, _, owner, name in calls():
        assert owner is not None or name not in BUILT_IN, path
        assert owner is None or name not in METHODS, path
        assert (owner, name) not in LOADING, path


def test_no_shell_reads_a_word() -> None:
    for path, node, _, _ in calls():
        for keyword in node.keywords:
            assert keyword.arg != "shell", path
            if keyword.arg == "allow_pickle":
                assert constant(keyword.value) is False, path


def test_no_code_comes_with_a_model() -> None:
    """``trust_remote_code`` is written at least once, and nowhere as anything but False."""
    written = [
        (path, keyword.value)
        for path, node, _, _ in calls()
        for keyword in node.keywords
        if keyword.arg == "trust_remote_code"
    ]
    for path, node in nodes(ast.Dict):
        assert isinstance(node, ast.Dict)
        pairs = zip(node.keys, node.values, strict=True)
        written += [(path, value) for key, value in pairs if constant(key) == "trust_remote_code"]
    assert written
    for path, value in written:
        assert constant(value) is False, path


def constant(node: ast.AST | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


@pytest.mark.parametrize("word", ["trust-remote-code", "TRUST_REMOTE_CODE"])
def test_no_option_turns_it_on(word: str) -> None:
    assert not [path for path in MODULES if word in path.read_text()]
