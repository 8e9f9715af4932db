"""``tunery aliases``."""

import itertools
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._output import document, print_fields, print_json, print_page, print_table, say
from ._session import Session, with_session

if TYPE_CHECKING:
    from tunery._aliases import Alias

app = typer.Typer(no_args_is_help=True, help="Names of your own that lead to adapters.")

Name = Annotated[str, typer.Argument(help="The alias.")]
Model = Annotated[str, typer.Argument(help="The adapter, or the base model, that it leads to.")]
CanaryOption = Annotated[
    str | None, typer.Option("--canary", metavar="MODEL=WEIGHT", help="Answers a share, 0 to 1.")
]
ShadowOption = Annotated[
    str | None, typer.Option("--shadow", help="Gets a copy of each request, unseen.")
]


@app.command("create")
@with_session
def create_alias(
    session: Session,
    name: Name,
    model: Model,
    canary: CanaryOption = None,
    shadow: ShadowOption = None,
) -> None:
    """Give MODEL the name NAME."""
    client = session.client()
    return _show(
        session, client.aliases.create(name, model=model, canary=_split(canary), shadow=shadow)
    )


@app.command("move")
@with_session
def move_alias(
    session: Session,
    name: Name,
    model: Model,
    canary: CanaryOption = None,
    shadow: ShadowOption = None,
    gate_file: Annotated[
        str | None, typer.Option(help="Only if it is better on the rows of this file.")
    ] = None,
    gate_metric: Annotated[
        str | None, typer.Option(help="Only if this recorded metric is better.")
    ] = None,
    margin: Annotated[float, typer.Option(min=0, help="By how much.")] = 0.0,
) -> None:
    """Let NAME lead to MODEL from now on."""
    gate = _gate(gate_file, gate_metric, margin)
    alias = session.client().aliases.move(
        name, model=model, canary=_split(canary), shadow=shadow, gate=gate
    )
    return _show(session, alias)


@app.command("rollback")
@with_session
def roll_back_alias(
    session: Session,
    name: Name,
    to: Annotated[int | None, typer.Option(min=1, help="A revision; the one before.")] = None,
) -> None:
    """Let NAME lead where it led before."""
    return _show(session, session.client().aliases.roll_back(name, revision=to))


@app.command("list")
@with_session
def list_aliases(
    session: Session, limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100
) -> None:
    """List aliases, last moved first."""
    aliases = itertools.islice(session.client().aliases.list(limit=min(limit, 100)), limit)
    if session.json:
        return print_page(aliases)
    return print_table(("ALIAS", *_COLUMNS), [(alias.id, *_row(alias)) for alias in aliases])


@app.command("history")
@with_session
def history(
    session: Session,
    name: Name,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 20,
) -> None:
    """Show what NAME meant, newest first."""
    revisions = session.client().aliases.revisions(name, limit=limit)
    if session.json:
        return print_page(revisions)
    rows = [(*_row(alias), alias.reason) for alias in revisions]
    return print_table((*_COLUMNS, "REASON"), rows)


@app.command("get")
@with_session
def get_alias(session: Session, name: Name) -> None:
    """Show what NAME means."""
    return _show(session, session.client().aliases.retrieve(name))


@app.command("delete")
@with_session
def delete_alias(session: Session, name: Name) -> None:
    """Take the name away; the adapters stay."""
    deleted = session.client().aliases.delete(name)
    if session.json:
        return print_json(document(deleted))
    return say(f"deleted {deleted.id}")


_COLUMNS = ("REVISION", "MODEL", "CANARY", "SHADOW")


def _row(alias: "Alias") -> tuple[object, ...]:
    canary = f"{alias.canary.weight:.0%} {alias.canary.model}" if alias.canary else "-"
    return (alias.revision, alias.model or "-", canary, alias.shadow or "-")


def _show(session: Session, alias: "Alias") -> None:
    if session.json:
        return print_json(document(alias))
    return print_fields(document(alias).items())


def _split(text: str | None) -> tuple[str, float] | None:
    if text is None:
        return None
    model, _, weight = text.rpartition("=")
    try:
        return model, float(weight)
    except ValueError:
        raise typer.BadParameter("--canary wants MODEL=WEIGHT, such as ft:…=0.1.") from None


def _gate(file: str | None, metric: str | None, margin: float) -> dict[str, Any] | None:
    if file:
        return {"file_id": file, "margin": margin}
    return {"metric": metric, "margin": margin} if metric else None
