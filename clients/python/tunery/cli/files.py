"""``tunery files``."""

import itertools
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import rich.progress
import typer

from ._output import document, print_fields, print_json, print_page, print_table, say, stderr
from ._session import Session, with_session

_BAR_FROM_BYTES = 8 * 2**20

app = typer.Typer(no_args_is_help=True, help="Files on the server: training data, results.")


@app.command("upload")
@with_session
def upload(
    session: Session,
    path: Path,
    purpose: Annotated[str, typer.Option(help="What the file is for.")] = "fine-tune",
) -> None:
    """Upload a file; print its id."""
    shown = stderr.is_terminal and path.stat().st_size >= _BAR_FROM_BYTES
    bar = rich.progress.open(
        path, "rb", description=path.name, console=stderr, transient=True, disable=not shown
    )
    with bar as content:  # read as it is sent; a path would be read whole first
        file = session.client().files.create(file=(path.name, content), purpose=cast(Any, purpose))
    if session.json:
        return print_json(document(file))
    return say(file.id)


@app.command("list")
@with_session
def list_files(
    session: Session, limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100
) -> None:
    """List files, newest first."""
    files = itertools.islice(session.client().files.list(limit=min(limit, 10_000)), limit)
    if session.json:
        return print_page(files)
    rows = [(file.id, file.purpose, file.bytes, file.filename) for file in files]
    return print_table(("FILE", "PURPOSE", "BYTES", "NAME"), rows)


@app.command("get")
@with_session
def get_file(session: Session, file_id: str) -> None:
    """Show one file's record."""
    file = session.client().files.retrieve(file_id)
    if session.json:
        return print_json(document(file))
    return print_fields(document(file).items())


@app.command("content")
@with_session
def content(
    session: Session,
    file_id: str,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it here.")] = None,
) -> None:
    """Write a file's bytes to standard output, or to a path."""
    data = session.client().files.content(file_id).content
    if output is not None:
        output.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)


@app.command("delete")
@with_session
def delete(session: Session, file_id: str) -> None:
    """Delete a file."""
    deleted = session.client().files.delete(file_id)
    if session.json:
        return print_json(document(deleted))
    return say(f"deleted {deleted.id}")
