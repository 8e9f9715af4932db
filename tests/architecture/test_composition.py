"""Only the modules that compose a process choose what stands behind an interface."""

import ast
from pathlib import Path

SERVER = Path(__file__).resolve().parents[2] / "server" / "tunery_server"

COMPOSERS = {
    "doctor/examination.py",
    "gateway/composition.py",
    "worker/main.py",
    "supervisor/serve.py",
}
CHOICES = {"RedisQueue", "VllmEngine"}
"""Classes that stand behind a contract of their package."""


def imported(module: Path) -> set[str]:
    """Every name that a module imports from another."""
    tree = ast.parse(module.read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in imports for alias in node.names}


def test_only_composers_name_what_stands_behind_a_contract() -> None:
    naming = {
        str(module.relative_to(SERVER))
        for module in SERVER.rglob("*.py")
        if imported(module) & CHOICES
    }
    assert naming == COMPOSERS


def test_only_error_handlers_write_an_error_body() -> None:
    writing = {
        str(module.relative_to(SERVER))
        for module in (SERVER / "gateway").rglob("*.py")
        if '"error":' in module.read_text()
    }
    assert writing == {"gateway/error_handlers.py"}
