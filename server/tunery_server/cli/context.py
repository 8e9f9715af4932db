"""What the commands share: settings, the record, and how a failure is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tunery_server.records.database import Database

from tunery_server.config import Settings, read_settings
from tunery_server.errors import ConfigError, RequestError


def settings_of(**options: object) -> Settings:
    """The settings, with the options that were given."""
    return read_settings(**{name: value for name, value in options.items() if value is not None})


@contextmanager
def open_record(settings: Settings) -> "Iterator[Database]":
    """The record, with the newest schema."""
    from tunery_server.records.database import Database  # noqa: PLC0415 - slow to import

    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database)
    try:
        database.migrate()
        yield database
    finally:
        database.close()


@contextmanager
def told_apart() -> Iterator[None]:
    """A wrong setting or argument is a message, not a traceback."""
    try:
        yield
    except (ConfigError, RequestError) as error:
        typer.echo(f"tunery: {error.message}", err=True)
        raise typer.Exit(2) from error
