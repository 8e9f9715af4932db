"""The command as a process: plug-ins, a terminal, signals."""

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from .scripted_server import TUNED, ScriptedServer, chat_stream, event, job, step

COMMAND = (sys.executable, "-m", "tunery")
PLUGIN = """
import typer

print("imported")

def serve(ctx: typer.Context, port: int = 8000) -> None:
    print("serving", port)

keys = typer.Typer()

@keys.command("list")
def list_keys() -> None:
    print("two keys")

@keys.command("add")
def add_key() -> None:
    print("added")

engine = typer.Typer()

@engine.command("anything", context_settings={"allow_extra_args": True})
def run_engine(ctx: typer.Context) -> None:
    print("engine", *ctx.args)
"""
ENTRY_POINTS = """[tunery.commands]
serve = shop_server:serve
keys = shop_server:keys
engine = shop_server:engine
broken = shop_server:absent
"""


@pytest.fixture
def with_plugin(tmp_path: Path) -> dict[str, str]:
    """The environment of a process in which a distribution with commands is installed."""
    (tmp_path / "shop_server.py").write_text(PLUGIN)
    record = tmp_path / "shop_server-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-server\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(ENTRY_POINTS)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def run(*args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *args], env=env, capture_output=True, text=True, check=False, input=""
    )


def test_commands_of_another_distribution_are_listed_but_not_imported(
    with_plugin: dict[str, str],
) -> None:
    done = run("--help", env=with_plugin)
    assert done.returncode == 0
    assert "imported" not in done.stdout
    for word in ("serve", "keys", "engine", "From shop-server.", "chat"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["serve", "--port", "9"], "serving 9"),
        (["keys", "list"], "two keys"),
        (["engine", "--", "--max-model-len", "512"], "engine --max-model-len 512"),
    ],
)
def test_a_function_and_an_app_both_become_commands(
    with_plugin: dict[str, str], args: list[str], said: str
) -> None:
    done = run(*args, env=with_plugin)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["imported", said]), done.stderr


def test_help_of_such_a_command_is_its_own(with_plugin: dict[str, str]) -> None:
    assert "--port" in run("serve", "--help", env=with_plugin).stdout


def test_such_a_command_that_cannot_be_loaded_is_named(with_plugin: dict[str, str]) -> None:
    done = run("broken", env=with_plugin)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "'broken' of shop-server" in done.stderr


def test_own_commands_do_not_import_it(with_plugin: dict[str, str]) -> None:
    assert "imported" not in run("chat", "--help", env=with_plugin).stdout


def test_without_its_libraries_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError(name='typer')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = run("chat", env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 1
    assert 'pip install "tunery[cli]"' in done.stderr
    assert "Traceback" not in done.stderr


class Terminal:
    """A process on a terminal of its own. ``screen`` is all that it printed."""

    def __init__(self, *args: str, **env: str) -> None:
        self._fd, child = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", **env}
        self.process = subprocess.Popen(
            [*COMMAND, *args],
            stdin=child, stdout=child, stderr=child, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(child)
        self.screen = ""
        self._read = 0

    def read_until(self, text: str) -> None:
        """Wait for ``text`` after all that was waited for so far."""
        while (at := self.screen.find(text, self._read)) < 0:
            assert self._more(), self.screen
        self._read = at + len(text)

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def end(self) -> int:
        """Read what is left; the exit status."""
        while self._more():
            pass
        return self.process.wait(timeout=30)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._fd)

    def _more(self, deadline_s: float = 60) -> bool:
        ready, _, _ = select.select([self._fd], [], [], deadline_s)
        assert ready, f"nothing more came: {self.screen!r}"
        try:
            piece = os.read(self._fd, 4096)
        except OSError:  # the process is gone
            return False
        self.screen += piece.decode(errors="replace")
        return True


Open = Callable[..., Terminal]


@pytest.fixture
def terminal() -> Iterator[Open]:
    """Open terminals; no process on one outlives the test."""
    opened: list[Terminal] = []

    def open_terminal(*args: str, **env: str) -> Terminal:
        opened.append(Terminal(*args, **env))
        return opened[-1]

    yield open_terminal
    for terminal in opened:
        terminal.close()


def test_a_terminal_shows_a_bar(terminal: Open, reachable: ScriptedServer) -> None:
    reachable.events = [event(9, "Validated [bold]200[/bold] rows"), step(1), step(2)]
    reachable.looks = [job("running", _events=2), job("succeeded")]
    screen = terminal("jobs", "watch", "ftjob-1")
    assert screen.end() == 0
    assert "Validated [bold]200[/bold] rows" in screen.screen
    assert "step 2/2  loss 0.750  310 tokens/s  1:05 left" in screen.screen
    assert "⠤ training 0.750" in screen.screen
    assert f"succeeded: {TUNED}" in screen.screen
    assert "\x1b[" in screen.screen


def test_a_terminal_shows_tables_without_colour_if_asked(
    terminal: Open, reachable: ScriptedServer
) -> None:
    screen = terminal("models", "list", NO_COLOR="1")
    assert screen.end() == 0
    assert "MODEL" in screen.screen
    assert "\x1b[3" not in screen.screen


@pytest.mark.parametrize("waits", [{"_open": True}, {}], ids=["for an event", "for the server"])
def test_ctrl_c_detaches_and_says_how_to_come_back(
    terminal: Open, reachable: ScriptedServer, waits: dict[str, Any]
) -> None:
    reachable.events = [step(1)]
    reachable.looks = [job("running", **waits)]
    screen = terminal("jobs", "watch", "ftjob-1")
    screen.read_until("step 1/2")
    screen.process.send_signal(signal.SIGINT)
    assert screen.end() == 130
    assert "tunery jobs watch ftjob-1" in screen.screen
    assert "Traceback" not in screen.screen
    assert not reachable.asked("POST", "/v1/fine_tuning/jobs/ftjob-1/cancel")


def test_a_conversation_keeps_its_turns_until_reset(
    terminal: Open, reachable: ScriptedServer
) -> None:
    chat = ("POST", "/v1/chat/completions")
    reachable.replies[chat] = chat_stream("Ahoy", " there")
    screen = terminal("chat", "--system", "Be brief")
    for line in ("One", "Two", "/reset", "Three"):
        screen.read_until("> ")
        screen.type(f"{line}\n")
    screen.read_until("Ahoy there")
    screen.read_until("> ")
    screen.type("\x04")
    assert screen.end() == 0
    sent = [[m["content"] for m in call.json["messages"]] for call in reachable.asked(*chat)]
    assert sent == [
        ["Be brief", "One"],
        ["Be brief", "One", "Ahoy there", "Two"],
        ["Be brief", "Three"],
    ]


def test_a_turn_that_fails_is_taken_back(terminal: Open, reachable: ScriptedServer) -> None:
    chat = ("POST", "/v1/chat/completions")
    reachable.replies[chat] = chat_stream("Hel", end="")
    screen = terminal("chat")
    screen.read_until("> ")
    screen.type("One\n")
    screen.read_until("Error: the stream ended early")
    reachable.replies[chat] = chat_stream("Hello")
    screen.read_until("> ")
    screen.type("Two\n")
    screen.read_until("Hello")
    screen.read_until("> ")
    screen.type("\x04")
    assert screen.end() == 0
    assert [m["content"] for m in reachable.asked(*chat)[-1].json["messages"]] == ["Two"]
