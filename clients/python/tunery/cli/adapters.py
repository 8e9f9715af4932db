"""``tunery adapters``."""

import itertools
from typing import Annotated

import typer

from ._output import document, print_fields, print_json, print_page, print_table, say
from ._session import Session, with_session

app = typer.Typer(no_args_is_help=True, help="Adapters that were trained here.")


@app.command("list")
@with_session
def list_adapters(
    session: Session, limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100
) -> None:
    """List adapters, newest first."""
    adapters = itertools.islice(session.client().adapters.list(limit=min(limit, 100)), limit)
    if session.json:
        return print_page(adapters)
    rows = [
        (adapter.model, adapter.status, adapter.residency, adapter.rank, adapter.bytes)
        for adapter in adapters
    ]
    return print_table(("MODEL", "STATUS", "RESIDENCY", "RANK", "BYTES"), rows)


@app.command("get")
@with_session
def get_adapter(session: Session, model: str) -> None:
    """Show the adapter that answers to MODEL."""
    adapter = session.client().adapters.retrieve(model)
    if session.json:
        return print_json(document(adapter))
    return print_fields(document(adapter).items())


@app.command("delete")
@with_session
def delete_adapter(session: Session, model: str) -> None:
    """Delete the adapter that answers to MODEL, with its files."""
    deleted = session.client().adapters.delete(model)
    if session.json:
        return print_json(document(deleted))
    return say(f"deleted {deleted.id}")
