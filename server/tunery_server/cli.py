"""The server's commands: ``serve``, ``gateway``, ``worker``, ``engine``, ``keys``.

Each is also a sub-command of ``tunery``, which the client brings.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tunery_server.records.keys import KeyRecords

from tunery_server.config import Settings, read_settings
from tunery_server.errors import ConfigError

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Tunery's server processes."
)
keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")
app.add_typer(keys, name="keys")

Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on.")]
Model = Annotated[str | None, typer.Option(help="Base model: a local folder or a hub id.")]

EngineArguments = Annotated[
    list[str] | None, typer.Argument(help="After --: options of vLLM, passed on as they are.")
]


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    model: Model = None,
    engine_arguments: EngineArguments = None,
) -> None:
    """Run everything on this machine."""
    with _told_apart():
        from tunery_server.supervisor import serve as supervisor  # noqa: PLC0415 - slow to import

        supervisor.run(_settings(host=host, port=port, model=model), engine_arguments or ())


@app.command()
def gateway() -> None:
    """Run the gateway alone."""
    with _told_apart():
        from tunery_server.gateway import app as gateway_app  # noqa: PLC0415 - slow to import

        gateway_app.run(_settings())


@app.command()
def worker() -> None:
    """Run one worker alone."""
    with _told_apart():
        from tunery_server.worker import main  # noqa: PLC0415 - slow to import

        main.run(_settings())


@app.command()
def engine(engine_arguments: EngineArguments = None) -> None:
    """Run the engine alone."""
    with _told_apart():
        from tunery_server.engine import command  # noqa: PLC0415 - slow to import
        from tunery_server.supervisor.home import prepare, prepare_engine  # noqa: PLC0415

        settings = _settings()
        prepare(settings)
        device = command.detect_device(settings)
        words = command.engine_command(settings, device, engine_arguments or ())
        os.execve(  # noqa: S606 - our own command line
            words[0], words, command.engine_environment(os.environ, prepare_engine(settings))
        )


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    tenant: Annotated[str, typer.Option(help="Whom it belongs to.")] = "default",
    admin: Annotated[bool, typer.Option(help="May see metrics and manage the server.")] = False,
) -> None:
    """Make a key and print it, this once."""
    from tunery_server.gateway.auth import ALL_SCOPES, TENANT_SCOPES, new_key  # noqa: PLC0415

    with _told_apart(), _key_records() as records:
        scopes = ALL_SCOPES if admin else TENANT_SCOPES
        secret, key = new_key(tenant, name, scopes, time.time())
        records.add(key)
        typer.echo(secret)


@keys.command("list")
def list_keys() -> None:
    """List keys by id; the keys themselves are not stored."""
    with _told_apart(), _key_records() as records:
        for key in records.list():
            state = "revoked" if key.revoked_at is not None else "active"
            typer.echo(f"{key.id}  {key.tenant_id}  {key.name}  {','.join(key.scopes)}  {state}")


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="Id from the list.")]) -> None:
    """Revoke a key; it stops working within five seconds."""
    with _told_apart(), _key_records() as records:
        if not records.revoke(key_id, now=time.time()):
            raise ConfigError(f"There is no active key {key_id}. 'tunery keys list' shows them.")
        typer.echo(f"revoked {key_id}")


@contextmanager
def _key_records() -> "Iterator[KeyRecords]":
    from tunery_server.records.database import Database  # noqa: PLC0415 - slow to import
    from tunery_server.records.keys import KeyRecords  # noqa: PLC0415 - slow to import

    settings = _settings()
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database)
    try:
        database.migrate()
        yield KeyRecords(database)
    finally:
        database.close()


def _settings(**overrides: object) -> Settings:
    return read_settings(**{name: value for name, value in overrides.items() if value is not None})


@contextmanager
def _told_apart() -> Iterator[None]:
    """A wrong setting is a message, not a traceback."""
    try:
        yield
    except ConfigError as error:
        typer.echo(f"tunery: {error.message}", err=True)
        raise typer.Exit(2) from error
