"""The root of the command: its groups and its common options."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from . import adapters, aliases, batches, chat, files, jobs, models
from ._plugins import CommandGroup
from ._session import ApiKeyOption, BaseUrlOption, JsonOption, Session

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Chat with a Tunery server, and fine-tune adapters of its model.",
)
app.command("chat")(chat.chat)
app.add_typer(files.app, name="files")
app.add_typer(jobs.app, name="jobs")
app.add_typer(batches.app, name="batches")
app.add_typer(models.app, name="models")
app.add_typer(adapters.app, name="adapters")
app.add_typer(aliases.app, name="aliases")


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"tunery {version('tunery')}")
        except PackageNotFoundError:
            typer.echo("tunery (not installed)")
        raise typer.Exit


@app.callback()
def common(
    ctx: typer.Context,
    as_json: JsonOption = False,
    base_url: BaseUrlOption = None,
    api_key: ApiKeyOption = None,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Keep the common options for the command that follows."""
    ctx.obj = Session(as_json, base_url, api_key)
