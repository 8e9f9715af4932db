"""``tunery serve``, and each of its processes alone."""

import os
from typing import Annotated

import typer

from tunery_server.cli.context import open_record, settings_of, told_apart

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
    """Run the gateway alone; with a Redis at ``REDIS_URL``."""
    with told_apart():
        from tunery_server.gateway import app as gateway_app  # noqa: PLC0415 - slow to import
        from tunery_server.supervisor.home import prepare_folders  # noqa: PLC0415

        settings = settings_of()
        prepare_folders(settings)
        gateway_app.run(settings)


def worker() -> None:
    """Run one worker alone; with a Redis at ``REDIS_URL``."""
    with told_apart():
        from tunery_server.supervisor.home import prepare_folders  # noqa: PLC0415
        from tunery_server.worker import main  # noqa: PLC0415 - slow to import

        settings = settings_of()
        prepare_folders(settings)
        main.run(settings)


def migrate() -> None:
    """Bring the record to the newest schema, and end; the gateway and the worker do so, too."""
    with told_apart(), open_record(settings_of()):
        pass


def engine(engine_arguments: EngineArguments = None) -> None:
    """Run the engine alone; it needs neither the record nor Redis."""
    with told_apart():
        from tunery_server.engine import command  # noqa: PLC0415 - slow to import
        from tunery_server.supervisor import home  # noqa: PLC0415

        settings = settings_of()
        home.prepare_folders(settings)
        home.prepare_model(settings)
        device = command.detect_device(settings)
        words = command.engine_command(settings, device, engine_arguments or ())
        os.execve(  # noqa: S606 - our own command line
            words[0], words, command.engine_environment(os.environ, home.prepare_engine(settings))
        )
