"""What ``tunery serve`` prints."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tunery_server.config import Settings

_DEFAULT_URL = "http://127.0.0.1:8000/v1"
"""Where the client looks when it is told nothing."""

_EXAMPLE = "examples/ticket_routing/train.jsonl"


def show(settings: Settings, fresh: bool) -> None:
    """Where the server is, where its key lies, and three commands to copy."""
    url = f"http://{settings.host}:{settings.port}/v1"
    key_file = str(settings.admin_key_file)
    tunery = _command(url)
    made = "made just now" if fresh else "made on the first start"
    lines = [
        f"Tunery serves {settings.base_model_name}",
        f"  URL       {url}",
        f"  key file  {key_file}  ({made}; read only by you)",
        f"  logs      here, and the engine's in {settings.home / 'engine.log'}",
        "",
        "Try, in another terminal:",
        f'  curl -H "Authorization: Bearer $(cat {key_file})" {url}/models',
        f'  {tunery} chat "What is the capital of France?"',
        f"  {tunery} jobs create {_EXAMPLE} --watch",
        "",
        "The engine is starting, which takes about a minute …",
    ]
    _console().print(escape("\n".join(lines)), highlight=False)


def _command(url: str) -> str:
    """How ``tunery`` is called from here, so that it finds this server."""
    beside = Path(sys.executable).with_name("tunery")
    program = "tunery" if shutil.which("tunery") else os.path.relpath(beside)
    settings = {"TUNERY_BASE_URL": url} if url != _DEFAULT_URL else {}
    if home := os.environ.get("TUNERY_HOME"):
        settings["TUNERY_HOME"] = home
    return " ".join(
        [*(f"{name}={shlex.quote(value)}" for name, value in settings.items()), program]
    )


def ready(settings: Settings, seconds: float) -> None:
    """The engine answers."""
    line = f"Ready after {seconds:.0f} s: {settings.base_model_name} answers."
    _console().print(escape(line), highlight=False)


def _console() -> Console:
    return Console(soft_wrap=True)
