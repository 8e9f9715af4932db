"""Commands of other distributions: the entry-point group ``tunery.commands``.

An entry point names a ``typer.Typer`` app or a function with typer's parameters. It is imported
only when its command is called, so that a server installed beside the client costs ``tunery chat``
nothing; the list of commands shows its name and its distribution.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from ._failures import explain
from ._output import printable, stderr

GROUP = "tunery.commands"
_COMPLETION = frozenset({"install_completion", "show_completion"})


class CommandGroup(TyperGroup):
    """The root: its own commands, those of the entry points, and one line for an error."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Own names first, then those of entry points."""
        own = super().list_commands(ctx)
        return own + sorted(set(_found()) - set(own))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """An own command, or what stands in the list for one of an entry point."""
        own = super().get_command(ctx, cmd_name)
        if own is None and (entry := _found().get(cmd_name)):
            return TyperCommand(
                cmd_name,
                help=f"From {_origin(entry)}.",
                rich_help_panel="Server",
            )
        return own

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command to run, with its module imported."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and name not in self.commands:
            command = _load(_found()[name])
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run; an error of the server or the connection ends in one line and status 1."""
        try:
            return super().invoke(ctx)
        except (typer.TyperException, typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if (line := explain(error)) is None:
                raise
            raise _end(line) from error


def _found() -> dict[str, EntryPoint]:
    """By name; of two, the one that comes first on ``sys.path``, as with modules."""
    return {entry.name: entry for entry in reversed(list(entry_points(group=GROUP)))}


def _load(entry: EntryPoint) -> Any:
    try:
        plugin = entry.load()
    except (ImportError, AttributeError) as error:
        raise _end(f"the command {entry.name!r} of {_origin(entry)}: {error}") from error
    if not isinstance(plugin, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command(entry.name)(plugin)
        plugin = app
    command = get_command(plugin)
    command.name = entry.name
    command.params = [option for option in command.params if option.name not in _COMPLETION]
    return command


def _origin(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module


def _end(line: str) -> typer.Exit:
    stderr.print(f"Error: {printable(line)}", markup=False)
    return typer.Exit(1)
