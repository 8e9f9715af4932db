"""``tunery jobs estimate`` and ``tunery jobs preview``: asked before a job costs anything."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._job_options import with_job_options
from ._output import document, duration, print_fields, print_json, say, stdout
from ._rows import print_rows, print_statistics
from ._session import Session, with_session

if TYPE_CHECKING:
    from tunery import JobEstimate

File = Annotated[str, typer.Argument(help="A JSONL file, or the id of an uploaded one.")]


@with_session
@with_job_options
def estimate(session: Session, file: File, *, wish: dict[str, Any]) -> None:
    """Say what a job would take: tokens, steps, memory, time. Nothing is queued.

    Status: 0 if it fits a worker's machine or none is known, else 1.
    """
    found = session.client().estimate(file, **wish)
    if session.json:
        print_json(document(found))
    else:
        print_fields(_fields(found))
        if found.memory.reason:
            say(found.memory.reason)
    if found.memory.fits is False:
        raise typer.Exit(1)


@with_session
@with_job_options
def preview(
    session: Session,
    file: File,
    *,
    wish: dict[str, Any],
    limit: Annotated[int, typer.Option(min=1, max=50, help="Show so many rows.")] = 5,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many before them.")] = 0,
) -> None:
    """Show rows as the trainer sees them: what is learnt, what is only read, what is cut.

    On a terminal what is learnt is green; elsewhere it stands between [ and ]. Nothing is queued.
    """
    found = session.client().preview(file, offset=offset, limit=limit, **wish)
    if session.json:
        return print_json(document(found))
    print_rows(found.data, stdout)
    return print_statistics(found.statistics, stdout)


def _fields(found: "JobEstimate") -> list[tuple[str, object]]:
    rows = f"{found.rows}"
    if found.sampled:
        rows += f" (estimated from {found.rows_read} of them)"
    tokens, cut = found.tokens, found.truncation
    return [
        ("rows", rows),
        ("examples", found.examples),
        ("tokens", f"{tokens.total} ({tokens.trained_total} trained on)"),
        ("tokens an epoch", f"{tokens.epoch} ({tokens.trained_epoch} trained on)"),
        ("validation tokens", tokens.validation),
        ("longest sequence", f"{found.longest_sequence} tokens"),
        ("cut off", f"{cut.tokens} tokens of {cut.rows} rows" if cut.rows else None),
        ("dropped examples", cut.dropped_examples or None),
        ("epochs", found.hyperparameters.get("n_epochs")),
        ("batch size", found.hyperparameters.get("batch_size")),
        ("steps", f"{found.steps.total} ({found.steps.epoch} an epoch)"),
        ("memory", _memory(found)),
        ("time", _time(found)),
        ("adapter", _size(found.adapter_bytes)),
    ]


def _memory(found: "JobEstimate") -> str | None:
    machine = _size(found.memory.largest_machine_bytes)
    if found.memory.bytes is None:
        return None
    return f"{_size(found.memory.bytes)} at most" + (f" of {machine}" if machine else "")


def _time(found: "JobEstimate") -> str | None:
    seconds = found.seconds
    if seconds is None:
        return None
    basis = f"measured on {seconds.jobs} earlier jobs" if seconds.jobs else "computed"
    span = f"{duration(seconds.low)} to {duration(seconds.high)}"
    return f"{duration(seconds.expected)} ({span}, {basis})"


def _size(size: int | None) -> str | None:
    if size is None:
        return None
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
