import os
from pathlib import Path

import pytest

from tests.engines import ScriptedEngine
from tunery_server.config import Settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test."""
    for name in os.environ:
        if name.startswith("TUNERY_") or name in {"DATABASE_URL", "REDIS_URL", "XDG_DATA_HOME"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def settings(tmp_path: Path, valkey: str) -> Settings:
    return Settings(home=tmp_path / "home", redis_url=valkey, served_model_name="base")
