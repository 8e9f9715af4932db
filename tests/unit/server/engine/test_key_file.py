"""The engine's key, which changes with every start of the engine."""

from pathlib import Path

import pytest

from tunery_server.engine.key_file import KeyFile


def test_a_new_file_is_a_new_key(tmp_path: Path) -> None:
    path, new = tmp_path / "key", tmp_path / "new"
    path.write_text("one")
    key = KeyFile(path)
    assert (key.read(), key.read()) == ("one", "one")
    new.write_text("two")
    new.replace(path)
    assert key.read() == "two"


def test_without_a_file_there_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        KeyFile(tmp_path / "key").read()
