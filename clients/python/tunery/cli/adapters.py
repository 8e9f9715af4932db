"""``tunery adapters``."""

import itertools
import sys
from pathlib import Path
from typing import Annotated

import typer

from ._output import document, print_fields, print_json, print_page, print_table, say
from ._session import Session, with_session

app = typer.Typer(no_args_is_help=True, help="Adapters: LoRA weights that answer by a name.")


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


@app.command("pin")
@with_session
def pin_adapter(session: Session, model: str) -> None:
    """Load the adapter that answers to MODEL, and keep it in the engine."""
    adapter = session.client().adapters.pin(model)
    if session.json:
        return print_json(document(adapter))
    return say(f"pinned {adapter.model}")


@app.command("unpin")
@with_session
def unpin_adapter(session: Session, model: str) -> None:
    """Let the adapter that answers to MODEL give way to others again."""
    adapter = session.client().adapters.unpin(model)
    if session.json:
        return print_json(document(adapter))
    return say(f"unpinned {adapter.model}")


@app.command("import")
@with_session
def import_adapter(
    session: Session,
    path: Path,
    suffix: Annotated[str | None, typer.Option(help="Becomes part of the model's name.")] = None,
) -> None:
    """Import a PEFT folder, or a tar, tar.gz or zip of one; print the model's name."""
    adapter = session.client().adapters.upload(path, suffix=suffix)
    if session.json:
        return print_json(document(adapter))
    return say(adapter.model)


@app.command("download")
@with_session
def download(
    session: Session,
    model: str,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it here.")] = None,
) -> None:
    """Write the adapter that answers to MODEL, as a tar, to standard output or to a path."""
    content = session.client().adapters.content(model)
    if output is not None:
        output.write_bytes(content)
    else:
        sys.stdout.buffer.write(content)


@app.command("push")
@with_session
def push(
    session: Session,
    model: str,
    to: Annotated[Path, typer.Option("--to", help="The folder, made if it is not there.")],
) -> None:
    """Write the adapter that answers to MODEL into a folder as model hubs have it, with a card."""
    written = session.client().adapters.save(model, to)
    if session.json:
        return print_json({"model": model, "files": [str(path) for path in written]})
    for path in written:
        say(str(path))
    return None
