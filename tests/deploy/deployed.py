"""What the files under deploy/ may name: settings, commands and images that there are."""

import shutil
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from tunery_server.config import PREFIX, UNPREFIXED, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
IMAGES = {"gateway", "cpu", "cuda"}

SETTINGS = {
    name.upper() if name in UNPREFIXED else f"{PREFIX}{name.upper()}"
    for name in Settings.model_fields
}


@cache
def commands() -> set[str]:
    """The server's sub-commands of ``tunery``, as its distribution declares them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return set(project["entry-points"]["tunery.commands"])


def unknown_settings(names: Iterable[str]) -> set[str]:
    """Those of Tunery's that no setting bears."""
    ours = {name for name in names if name.startswith(PREFIX) or name.lower() in UNPREFIXED}
    return ours - SETTINGS


def assert_commands(words: list[str]) -> None:
    """The first word is a command of the server's."""
    assert words, "no command"
    assert words[0] in commands(), words


def tool(name: str) -> str:
    """A program beside this Python, or on the PATH; without it, the test is skipped aloud."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing: see deploy/README.md, What was checked")
    return found
