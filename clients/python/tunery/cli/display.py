"""How a fine-tuning job is watched: a bar on a terminal, lines elsewhere, or JSON lines.

A display is a context manager whose ``event`` takes the job's events in order::

    with job_display() as display:
        client.fine_tune("train.jsonl", on_event=display.event)
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from ._output import document, duration, print_json, printable, say, stdout

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent


class JobDisplay(Protocol):
    """Shows one job while it is worked on."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *exc_info: Any) -> None:
        """Leave the screen in order."""

    def event(self, event: "FineTuningJobEvent") -> None:
        """Show what happened."""

    def job(self, job: "FineTuningJob") -> None:
        """Show how the job stands."""


def job_display(as_json: bool = False) -> JobDisplay:
    """The display that suits standard output."""
    if as_json:
        return JsonLines()
    return Bar() if stdout.is_terminal else Lines()


class JsonLines:
    """A JSON line for each event."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        return None

    def event(self, event: "FineTuningJobEvent") -> None:
        """Print the event."""
        print_json(document(event))

    def job(self, job: "FineTuningJob") -> None:
        """Print nothing: how the job stands is no event."""


class Lines:
    """A line for each event."""

    def __init__(self) -> None:
        self._shown: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        return None

    def event(self, event: "FineTuningJobEvent") -> None:
        """Print the event, with its numbers if it has some."""
        say(f"{_time(event)}  {_line(event)}")

    def job(self, job: "FineTuningJob") -> None:
        """Print the status when it is a new one."""
        if (standing := _standing(job)) != self._shown:
            self._shown = standing
            say(f"{job.id}  {standing}")


class Bar:
    """A bar with step, loss, tokens a second and time left; messages scroll by above it."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[numbers]}", markup=False),
            console=stdout,
        )
        self._task = self._progress.add_task("submitted", total=None, numbers="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._progress.stop()

    def event(self, event: "FineTuningJobEvent") -> None:
        """Move the bar, or print the message."""
        metrics = _metrics(event)
        if "train_loss" in metrics:
            self._progress.update(
                self._task,
                description="training",
                completed=metrics.get("step"),
                total=metrics.get("total_steps"),
                numbers=step_line(metrics),
            )
        else:
            self._progress.console.print(f"{_time(event)}  {_line(event)}", markup=False)

    def job(self, job: "FineTuningJob") -> None:
        """Show the status beside the bar."""
        self._progress.update(self._task, description=_standing(job))


def step_line(metrics: Mapping[str, Any]) -> str:
    """The numbers of one step: ``step 12/75  loss 1.234  310 tokens/s  1:05 left``."""
    parts = [f"step {metrics.get('step')}/{metrics.get('total_steps')}"]
    for key, form in (("train_loss", "loss {:.3f}"), ("tokens_per_s", "{:.0f} tokens/s")):
        if metrics.get(key) is not None:
            parts.append(form.format(metrics[key]))
    if metrics.get("seconds_left") is not None:
        parts.append(f"{duration(metrics['seconds_left'])} left")
    return "  ".join(parts)


def _line(event: "FineTuningJobEvent") -> str:
    metrics = _metrics(event)
    if "train_loss" in metrics:
        return step_line(metrics)
    if "valid_loss" in metrics:
        return f"step {metrics.get('step')}  validation loss {metrics['valid_loss']:.3f}"
    level = "" if event.level == "info" else f"{event.level}: "
    return printable(f"{level}{event.message}")


def _metrics(event: "FineTuningJobEvent") -> Mapping[str, Any]:
    return event.data if event.type == "metrics" and isinstance(event.data, Mapping) else {}


def _standing(job: "FineTuningJob") -> str:
    position = (job.model_extra or {}).get("queue_position")
    return f"{job.status} (position {position})" if position is not None else job.status


def _time(event: "FineTuningJobEvent") -> str:
    return datetime.fromtimestamp(event.created_at).astimezone().strftime("%H:%M:%S")
