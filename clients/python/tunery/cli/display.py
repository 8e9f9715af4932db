"""How a fine-tuning job is watched: a curve and a bar on a terminal, else lines, or JSON lines.

A display is a context manager whose ``event`` takes the job's events in order::

    with job_display() as display:
        client.fine_tune("train.jsonl", on_event=display.event)
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, Self

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from ._curve import LossCurve
from ._output import document, duration, print_json, printable, say, stdout

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob

    from tunery import JobEvent, JobMetrics

_MOST_LINES = 10
"""Of the curve; it takes a third of a low terminal."""


class JobDisplay(Protocol):
    """Shows one job while it is worked on."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *exc_info: Any) -> None:
        """Leave the screen in order."""

    def event(self, event: "JobEvent") -> None:
        """Show what happened."""

    def job(self, job: "FineTuningJob") -> None:
        """Show how the job stands."""


def job_display(as_json: bool = False) -> JobDisplay:
    """The display that suits standard output."""
    if as_json:
        return JsonLines()
    return Screen() if stdout.is_terminal else Lines()


class JsonLines:
    """A JSON line for each event."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        return None

    def event(self, event: "JobEvent") -> None:
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

    def event(self, event: "JobEvent") -> None:
        """Print the event, with its numbers if it has some."""
        say(f"{_time(event)}  {_line(event)}")

    def job(self, job: "FineTuningJob") -> None:
        """Print the status when it is a new one."""
        if (standing := _standing(job)) != self._shown:
            self._shown = standing
            say(f"{job.id}  {standing}")


class Screen:
    """The losses as a curve, a bar with speed and time left; messages scroll by above them."""

    def __init__(self) -> None:
        self._curve = LossCurve(min(_MOST_LINES, stdout.height // 3))
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[numbers]}", markup=False),
            console=stdout,
        )
        self._task = self._progress.add_task("submitted", total=None, numbers="")
        self._live = Live(Group(self._curve, self._progress), console=stdout)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._live.stop()

    def event(self, event: "JobEvent") -> None:
        """Draw the numbers, or print the message."""
        metrics = event.metrics
        if metrics is None:
            self._live.console.print(f"{_time(event)}  {_line(event)}", markup=False)
            return
        if metrics.valid_loss is not None:
            self._curve.valid.add(metrics.step, metrics.valid_loss)
        if metrics.train_loss is not None:
            self._curve.train.add(metrics.step, metrics.train_loss)
            self._curve.total_steps = metrics.total_steps or metrics.step
            self._progress.update(
                self._task,
                description="training",
                completed=metrics.step,
                total=metrics.total_steps,
                numbers=_numbers(metrics),
            )

    def job(self, job: "FineTuningJob") -> None:
        """Show the status beside the bar."""
        self._progress.update(self._task, description=_standing(job))


def _numbers(metrics: "JobMetrics") -> str:
    """Of one training step: ``step 12/75  loss 1.234  310 tokens/s  1:05 left``."""
    parts = [f"step {metrics.step}/{metrics.total_steps}", f"loss {metrics.train_loss:.3f}"]
    if metrics.tokens_per_s is not None:
        parts.append(f"{metrics.tokens_per_s:.0f} tokens/s")
    if metrics.seconds_left is not None:
        parts.append(f"{duration(metrics.seconds_left)} left")
    return "  ".join(parts)


def _line(event: "JobEvent") -> str:
    metrics = event.metrics
    if metrics is not None and metrics.train_loss is not None:
        return _numbers(metrics)
    if metrics is not None and metrics.valid_loss is not None:
        right = "" if metrics.valid_accuracy is None else f"  {metrics.valid_accuracy:.0%} right"
        return f"step {metrics.step}  validation loss {metrics.valid_loss:.3f}{right}"
    level = "" if event.level == "info" else f"{event.level}: "
    return printable(f"{level}{event.message}")


def _standing(job: "FineTuningJob") -> str:
    position = (job.model_extra or {}).get("queue_position")
    return f"{job.status} (position {position})" if position is not None else job.status


def _time(event: "JobEvent") -> str:
    return datetime.fromtimestamp(event.created_at).astimezone().strftime("%H:%M:%S")
