"""``tunery batches``."""

import itertools
from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from ._detach import detaching
from ._output import (
    document,
    print_fields,
    print_json,
    print_page,
    print_table,
    say,
    stdout,
)
from ._session import Session, with_session

if TYPE_CHECKING:
    from openai.types import Batch

    from tunery import Tunery

_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_POLL_S = 1.0

app = typer.Typer(no_args_is_help=True, help="Batches: many requests in one file.")


@app.command("create")
@with_session
def create(
    session: Session,
    file: Annotated[str, typer.Argument(help="A JSONL file, or the id of an uploaded one.")],
    *,
    endpoint: Annotated[str, typer.Option(help="What every line asks.")] = "/v1/chat/completions",
    expires_after: Annotated[
        int | None, typer.Option(min=3600, help="Seconds that the result files are kept.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Watch it to its end.")] = False,
) -> None:
    """Upload FILE if it is one here, and run each of its lines."""
    client = session.client()
    expiry: Any = {"anchor": "created_at", "seconds": expires_after}
    batch = client.batches.create(
        input_file_id=_input_id(client, file),
        endpoint=cast(Any, endpoint),
        completion_window="24h",
        **({"output_expires_after": expiry} if expires_after else {}),
    )
    if watch:
        _watch(session, client, batch.id)
    elif session.json:
        print_json(document(batch))
    else:
        say(batch.id)


@app.command("watch")
@with_session
def watch(session: Session, batch_id: str) -> None:
    """Follow a batch to its end. Ctrl-C stops following; the batch goes on.

    Status: 0 if it completed, 1 if it ended otherwise, 130 after Ctrl-C.
    """
    _watch(session, session.client(), batch_id)


@app.command("list")
@with_session
def list_batches(
    session: Session, limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20
) -> None:
    """List batches, newest first."""
    found = itertools.islice(session.client().batches.list(limit=min(limit, 100)), limit)
    if session.json:
        return print_page(found)
    rows = [(batch.id, batch.status, _counts(batch), batch.output_file_id) for batch in found]
    return print_table(("BATCH", "STATUS", "LINES", "OUTPUT FILE"), rows)


@app.command("get")
@with_session
def get(session: Session, batch_id: str) -> None:
    """Show one batch."""
    _print_batch(session, session.client().batches.retrieve(batch_id))


@app.command("cancel")
@with_session
def cancel(session: Session, batch_id: str) -> None:
    """Stop a batch; the results that it has become files."""
    batch = session.client().batches.cancel(batch_id)
    if session.json:
        return print_json(document(batch))
    return say(f"{batch.id} {batch.status}")


def _watch(session: Session, client: "Tunery", batch_id: str) -> None:
    quiet = session.json or not stdout.is_terminal
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        detaching("batch", f"tunery batches watch {batch_id}"),
        Progress(*columns, console=stdout, disable=quiet) as progress,
    ):
        bar = progress.add_task("validating", total=None)
        for batch in _looks(client, batch_id):
            done, total = _progress(batch)
            progress.update(bar, description=batch.status, completed=done, total=total or None)
    _print_batch(session, batch)
    if batch.status != "completed":
        raise typer.Exit(1)


def _looks(client: "Tunery", batch_id: str) -> Generator["Batch", None, None]:
    """The batch at each look, until it has ended. A server that restarts is waited for."""
    from tunery import Patience  # noqa: PLC0415
    from tunery._patience import outlasting  # noqa: PLC0415

    def looks() -> Generator["Batch", None, None]:
        while True:
            batch = client.batches.retrieve(batch_id)
            yield batch
            if batch.status in _ENDED:
                return
            client._clock.sleep(_POLL_S)

    return outlasting(looks, client._clock, Patience())


def _input_id(client: "Tunery", file: str) -> str:
    from tunery._fine_tune import source  # noqa: PLC0415

    found = source(file)
    if isinstance(found, str):
        return found
    return client.files.create(file=found, purpose="batch").id


def _print_batch(session: Session, batch: "Batch") -> None:
    if session.json:
        return print_json(document(batch))
    faults = batch.errors.data or [] if batch.errors else []
    return print_fields(
        [
            ("batch", batch.id),
            ("status", batch.status),
            ("endpoint", batch.endpoint),
            ("model", batch.model),
            ("lines", _counts(batch)),
            ("tokens", batch.usage.total_tokens if batch.usage else None),
            ("output file", batch.output_file_id),
            ("error file", batch.error_file_id),
            *((f"line {fault.line}", f"{fault.code}: {fault.message}") for fault in faults),
        ]
    )


def _progress(batch: "Batch") -> tuple[int, int]:
    counts = batch.request_counts
    return (counts.completed + counts.failed, counts.total) if counts else (0, 0)


def _counts(batch: "Batch") -> str:
    """``12/20``, or ``12/20, 3 failed``."""
    done, total = _progress(batch)
    failed = batch.request_counts.failed if batch.request_counts else 0
    return f"{done}/{total}, {failed} failed" if failed else f"{done}/{total}"
