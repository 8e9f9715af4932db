"""``tunery jobs``."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from ._output import (
    document,
    print_fields,
    print_json,
    print_page,
    print_table,
    say,
    stderr,
)
from ._session import Session, with_session
from .display import JobDisplay, job_display

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob

    from tunery import JobUpdate, Tunery

Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]
Number = TypeVar("Number", int, float)

_DETACHED = 130

app = typer.Typer(no_args_is_help=True, help="Fine-tuning jobs.")


@app.command("create")
@with_session
def create(
    session: Session,
    file: Annotated[str, typer.Argument(help="A JSONL file, or the id of an uploaded one.")],
    *,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Default: the base.")] = None,
    validation: Annotated[str | None, typer.Option(help="A file to measure the loss on.")] = None,
    suffix: Annotated[str | None, typer.Option(help="A part of the new model's name.")] = None,
    n_epochs: Annotated[str, typer.Option(help="A number, or auto.")] = "auto",
    batch_size: Annotated[str, typer.Option(help="A number, or auto.")] = "auto",
    learning_rate_multiplier: Annotated[str, typer.Option(help="A number, or auto.")] = "auto",
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="Rank of the adapter.")] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Scale of the adapter, over its rank.")
    ] = None,
    dropout: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    target_modules: Annotated[
        str | None, typer.Option(help="all-linear, or names with commas: q_proj,v_proj.")
    ] = None,
    quantization: Annotated[str | None, typer.Option(help="nf4 for QLoRA, or none.")] = None,
    qlora: Annotated[bool, typer.Option("--qlora", help="Same as --quantization nf4.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Watch it to its end.")] = False,
) -> None:
    """Upload FILE if it is one here, and queue a fine-tuning job."""
    lora = {
        "rank": rank,
        "alpha": alpha,
        "dropout": dropout,
        "target_modules": _modules(target_modules),
        "quantization": "nf4" if qlora else quantization,
    }
    given: Any = {key: value for key, value in lora.items() if value is not None}
    client = session.client()
    job = client.submit(
        file,
        model=model,
        validation_file=validation,
        suffix=suffix,
        n_epochs=_number("--n-epochs", n_epochs, int),
        batch_size=_number("--batch-size", batch_size, int),
        learning_rate_multiplier=_number(
            "--learning-rate-multiplier", learning_rate_multiplier, float
        ),
        seed=seed,
        lora=given or None,
    )
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
    return print_table(("JOB", "STATUS", "BASE", "FINE-TUNED MODEL"), rows)


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
    try:
        with job_display(session.json) as display:
            last = _follow(client, job_id, display)
    except KeyboardInterrupt as stop:
        stderr.print(f"Detached; the job goes on. Come back with: tunery jobs watch {job_id}")
        raise typer.Exit(_DETACHED) from stop
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
            ("base model", job.model),
            ("fine-tuned model", job.fine_tuned_model),
            ("error", error),
            ("training file", job.training_file),
            ("validation file", job.validation_file),
            ("trained tokens", job.trained_tokens),
            ("result files", job.result_files or None),
        ]
    )


def _modules(text: str | None) -> Literal["all-linear"] | list[str] | None:
    if text is None:
        return None
    if text == "all-linear":
        return "all-linear"
    return [name.strip() for name in text.split(",") if name.strip()]


def _number(option: str, text: str, kind: Callable[[str], Number]) -> Number | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return kind(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is neither a number nor auto", param_hint=option
        ) from error
