"""``tunery serve``, and each of its processes alone."""

import os
from typing import Annotated

import typer

from tunery_server.cli.context import settings_of, told_apart

Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on.")]
Model = Annotated[str | None, typer.Option(help="Base model: a local folder or a hub id.")]

EngineArguments = Annotated[
    list[str] | None, typer.Argument(help="After --: options of vLLM, passed on as they are.")
]


def serve(
    host: Host = None,
    port: Port = None,
    model: Model = None,
    engine_arguments: EngineArguments = None,
) -> None:
    """Run everything on this machine."""
    with told_apart():
        from tunery_server.supervisor import serve as supervisor  # noqa: PLC0415 - slow to import

        supervisor.run(settings_of(host=host, port=port, model=model), engine_arguments or ())


def gateway() -> None:
    """Run the gateway alone."""
    with told_apart():
        from tunery_server.gateway import app as gateway_app  # noqa: PLC0415 - slow to import

        gateway_app.run(settings_of())


def worker() -> None:
    """Run one worker alone."""
    with told_apart():
        from tunery_server.worker import main  # noqa: PLC0415 - slow to import

        main.run(settings_of())


def engine(engine_arguments: EngineArguments = None) -> None:
    """Run the engine alone."""
    with told_apart():
        from tunery_server.engine import command  # noqa: PLC0415 - slow to import
        from tunery_server.supervisor.home import prepare, prepare_engine  # noqa: PLC0415

        settings = settings_of()
        prepare(settings)
        device = command.detect_device(settings)
        words = command.engine_command(settings, device, engine_arguments or ())
        os.execve(  # noqa: S606 - our own command line
            words[0], words, command.engine_environment(os.environ, prepare_engine(settings))
        )
