"""``tunery jobs``."""

import itertools
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import estimates
from ._detach import detaching
from ._job_options import with_job_options
from ._output import (
    document,
    print_fields,
    print_json,
    print_page,
    print_table,
    say,
)
from ._session import Session, with_session
from .display import JobDisplay, job_display

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob

    from tunery import JobUpdate, Tunery

Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]

app = typer.Typer(no_args_is_help=True, help="Fine-tuning jobs.")
app.command("estimate")(estimates.estimate)
app.command("preview")(estimates.preview)


@app.command("create")
@with_session
@with_job_options
def create(
    session: Session,
    file: Annotated[str, typer.Argument(help="A JSONL file, or the id of an uploaded one.")],
    *,
    wish: dict[str, Any],
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Watch it to its end.")] = False,
) -> None:
    """Upload FILE if it is one here, and queue a fine-tuning job."""
    client = session.client()
    job = client.submit(file, **wish)
    if watch:
        _watch(session, client, job.id)
    elif session.json:
        print_json(document(job))
    else:
        say(job.id)


@app.command("watch")
@with_session
def watch(session: Session, job_id: str) -> None:
    """Follow a job to its end. Ctrl-C stops following; the job goes on.

    On a terminal: both losses as a curve, progress, speed, time left, and messages as they come.
    A server that is away for up to two minutes is waited for.

    Status: 0 if it succeeded, 1 if it failed or was cancelled, 130 after Ctrl-C.
    """
    _watch(session, session.client(), job_id)


@app.command("list")
@with_session
def list_jobs(session: Session, limit: Limit = 20) -> None:
    """List jobs, newest first."""
    page = session.client().fine_tuning.jobs.list(limit=min(limit, 100))
    jobs = itertools.islice(page, limit)
    if session.json:
        return print_page(jobs)
    rows = [(job.id, job.status, job.model, job.fine_tuned_model) for job in jobs]
    return print_table(("JOB", "STATUS", "MODEL", "FINE-TUNED MODEL"), rows)


@app.command("get")
@with_session
def get(session: Session, job_id: str) -> None:
    """Show one job."""
    job = session.client().fine_tuning.jobs.retrieve(job_id)
    _print_job(session, job)


@app.command("cancel")
@with_session
def cancel(session: Session, job_id: str) -> None:
    """Cancel a job that has not ended."""
    _print_status(session, session.client().fine_tuning.jobs.cancel(job_id))


@app.command("pause")
@with_session
def pause(session: Session, job_id: str) -> None:
    """Pause a job; it keeps its place in line and what it has learnt.

    A running job is "pausing" until its trainer has left a checkpoint, then "paused".
    """
    _print_status(session, session.client().fine_tuning.jobs.pause(job_id))


@app.command("resume")
@with_session
def resume(session: Session, job_id: str) -> None:
    """Go on with a paused job."""
    _print_status(session, session.client().fine_tuning.jobs.resume(job_id))


@app.command("events")
@with_session
def events(session: Session, job_id: str, limit: Limit = 20) -> None:
    """List a job's events, newest first."""
    page = session.client().fine_tuning.jobs.list_events(job_id, limit=min(limit, 100))
    found = itertools.islice(page, limit)
    if session.json:
        return print_page(found)
    rows = [(event.created_at, event.level, event.message) for event in found]
    return print_table(("TIME", "LEVEL", "EVENT"), rows)


@app.command("checkpoints")
@with_session
def checkpoints(session: Session, job_id: str, limit: Limit = 20) -> None:
    """List a job's checkpoints; each answers under its own model name."""
    page = session.client().fine_tuning.jobs.checkpoints.list(job_id, limit=min(limit, 100))
    found = itertools.islice(page, limit)
    if session.json:
        return print_page(found)
    rows = [
        (
            at.step_number,
            at.fine_tuned_model_checkpoint,
            at.metrics.train_loss,
            at.metrics.valid_loss,
        )
        for at in found
    ]
    return print_table(("STEP", "MODEL", "TRAIN LOSS", "VALID LOSS"), rows)


def _watch(session: Session, client: "Tunery", job_id: str) -> None:
    with (
        detaching("job", f"tunery jobs watch {job_id}"),
        job_display(session.json) as display,
    ):
        last = _follow(client, job_id, display)
    if session.json:
        print_json(document(last.job))
    model = last.result()
    if not session.json:
        say(f"{job_id} succeeded: {model}")
        say(f'Try it: tunery chat --model {model} "Hello"')


def _follow(client: "Tunery", job_id: str, display: JobDisplay) -> "JobUpdate":
    for update in client.follow(job_id):
        display.job(update.job)
        for event in update.events:
            display.event(event)
    return update


def _print_status(session: Session, job: "FineTuningJob") -> None:
    if session.json:
        return print_json(document(job))
    return say(f"{job.id} {job.status}")


def _print_job(session: Session, job: "FineTuningJob") -> None:
    if session.json:
        return print_json(document(job))
    error = f"{job.error.code}: {job.error.message}" if job.error else None
    return print_fields(
        [
            ("job", job.id),
            ("status", job.status),
            ("model", job.model),
            ("fine-tuned model", job.fine_tuned_model),
            ("error", error),
            ("training file", job.training_file),
            ("validation file", job.validation_file),
            ("trained tokens", job.trained_tokens),
            ("result files", job.result_files or None),
        ]
    )
