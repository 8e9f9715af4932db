"""``tunery files upload``: what is sent, and what is seen meanwhile."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from tunery.cli import files
from tunery.cli._app import app

from .scripted_server import ScriptedServer, answer, file_object, refusal

FILES = ("POST", "/v1/files")


def upload(path: Path) -> Result:
    return CliRunner().invoke(app, ["files", "upload", str(path)])


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard error, as if it were a terminal."""
    screen = io.StringIO()
    monkeypatch.setattr(files, "stderr", Console(file=screen, force_terminal=True, width=100))
    return screen


def test_the_file_is_sent_whole_and_again(reachable: ScriptedServer, train_file: Path) -> None:
    full = refusal(503, "There is no room left.", **{"retry-after-ms": "1"})
    reachable.replies[FILES] = [full, answer(file_object("train.jsonl"))]
    assert upload(train_file).stdout == "file-1\n"
    bodies = [call.body for call in reachable.asked(*FILES)]
    assert len(bodies) == 2
    for body in bodies:
        assert train_file.read_bytes() in body
        assert b'name="file"; filename="train.jsonl"' in body


def test_a_big_file_shows_a_bar(
    reachable: ScriptedServer, tmp_path: Path, screen: io.StringIO
) -> None:
    (path := tmp_path / "big.jsonl").write_bytes(bytes(8 * 2**20))
    assert upload(path).stdout == "file-1\n"
    assert "big.jsonl" in screen.getvalue()
    assert "MB" in screen.getvalue()


def test_a_small_file_shows_none(
    reachable: ScriptedServer, train_file: Path, screen: io.StringIO
) -> None:
    assert upload(train_file).stdout == "file-1\n"
    assert screen.getvalue() == ""


def test_off_a_terminal_there_is_no_bar(reachable: ScriptedServer, tmp_path: Path) -> None:
    (path := tmp_path / "big.jsonl").write_bytes(bytes(8 * 2**20))
    assert upload(path).output == "file-1\n"


def test_a_file_that_is_not_there(reachable: ScriptedServer, tmp_path: Path) -> None:
    result = upload(tmp_path / "none")
    assert result.exit_code == 1
    assert "No such file" in result.stderr
    assert reachable.asked(*FILES) == []
