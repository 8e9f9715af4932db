"""What ``tunery serve`` prints."""

from rich.console import Console
from rich.markup import escape

from tunery_server.config import Settings


def show(settings: Settings, fresh: bool) -> None:
    """Where the server is, where its key lies, and three commands to copy."""
    url = f"http://{settings.host}:{settings.port}/v1"
    key_file = str(settings.admin_key_file)
    made = "made just now" if fresh else "made on the first start"
    lines = [
        f"Tunery serves {settings.base_model_name}",
        f"  URL       {url}",
        f"  key file  {key_file}  ({made}; read only by you)",
        f"  logs      here, and the engine's in {settings.home / 'engine.log'}",
        "",
        "Try, in another terminal:",
        f'  curl -H "Authorization: Bearer $(cat {key_file})" {url}/models',
        '  tunery chat "What is the capital of France?"',
        "  tunery jobs create training.jsonl --watch",
        "",
        "The engine is starting, which takes about a minute …",
    ]
    _console().print(escape("\n".join(lines)), highlight=False)


def ready(settings: Settings, seconds: float) -> None:
    """The engine answers."""
    line = f"Ready after {seconds:.0f} s: {settings.base_model_name} answers."
    _console().print(escape(line), highlight=False)


def _console() -> Console:
    return Console(soft_wrap=True)
