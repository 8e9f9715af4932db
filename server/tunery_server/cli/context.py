"""What the commands share: settings, the record, and how a failure is told."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tunery_server.records.database import Database

from tunery_server.config import Settings, read_settings
from tunery_server.errors import ConfigError, RequestError, TryAgainLater


def settings_of(**options: object) -> Settings:
    """The settings, with the options that were given."""
    return read_settings(**{name: value for name, value in options.items() if value is not None})


@contextmanager
def open_record(settings: Settings) -> "Iterator[Database]":
    """The record, with the newest schema; what is changed in it is this machine's user's doing."""
    from tunery_server.records.actor import Actor, acting  # noqa: PLC0415 - slow to import
    from tunery_server.records.database import Database  # noqa: PLC0415 - slow to import

    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database)
    try:
        database.migrate()
        with acting(Actor(user=_user())):
            yield database
    finally:
        database.close()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"


@contextmanager
def told_apart() -> Iterator[None]:
    """A wrong setting or argument, or a server that is away, is a message, not a traceback."""
    try:
        yield
    except (ConfigError, RequestError, TryAgainLater) as error:
        typer.echo(f"tunery: {error.message}", err=True)
        raise typer.Exit(2) from error
