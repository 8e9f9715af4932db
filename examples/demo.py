"""Fine-tune an adapter on ticket routing and compare it with its base model, for real.

``make demo`` runs this. It starts a server of its own, trains, asks both models the held-out
questions and prints answers, scores and times. It exits with 0 only if the job succeeded and the
adapter's score beats the base's by MARGIN, and leaves neither a process nor a file behind.
"""

import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from openai import OpenAIError
from own_server import OwnServer, ServerError, own_server
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from ticket_routing.score import TRAIN, VALID, Question, accuracy, is_right, questions

from tunery import Tunery
from tunery.cli.display import job_display

MARGIN = 0.5
"""By how much the adapter's share of right answers must exceed the base's."""
EPOCHS = 3
CONCURRENCY = 4
MAX_TOKENS = 48
START_TIMEOUT_S = 300.0
TRAINING_TIMEOUT_S = 540.0

SPANS = (
    ("submitted, to the trainer ready", "created_at", "training_started_at"),
    ("training", "training_started_at", "last_step_at"),
    ("last optimiser step, to the adapter published", "last_step_at", "published_at"),
    ("last optimiser step, to its first token", "last_step_at", "first_token_at"),
)
"""What is timed, from one moment to another."""

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Trained:
    """What training made, and when what happened, in Unix seconds."""

    model: str
    moments: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """What base and adapter answered to each question."""

    asked: Sequence[Question]
    base: Sequence[str]
    adapter: Sequence[str]

    @property
    def scores(self) -> tuple[float, float]:
        """Shares of right answers: of the base, of the adapter."""
        return accuracy(self.base, self.asked), accuracy(self.adapter, self.asked)


def main() -> int:
    """Run the demo; return its exit status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        with own_server() as server:
            return _run_and_explain(server)
    except KeyboardInterrupt:
        console.print("Interrupted; the server is stopped.")
        return 130


def _run_and_explain(server: OwnServer) -> int:
    try:
        return run(server)
    except (OpenAIError, ServerError) as error:
        console.print(f"The demo failed: {error}", markup=False)
        console.print(f"\nThe end of the server's log:\n{server.log_tail()}", markup=False)
        return 1


def run(server: OwnServer) -> int:
    """Train, compare, report; return 0 if the adapter is better by MARGIN."""
    with phase("Starting a server") as start:
        server.wait_ready(START_TIMEOUT_S)
    client = Tunery(base_url=server.base_url, api_key=server.api_key)
    trained = train(client)
    comparison = compare(client, trained.model)
    show_answers(comparison)
    show_times(start.seconds, trained)
    return verdict(*comparison.scores)


def train(client: Tunery) -> Trained:
    """Fine-tune an adapter, then ask it for one token as soon as it is said to be ready."""
    job = client.submit(TRAIN, validation_file=VALID, suffix="tickets", n_epochs=EPOCHS, seed=1)
    console.print(f"Fine-tuning {job.model} on {TRAIN.name}, {EPOCHS} epochs: {job.id}")
    with job_display() as display:
        model = client.wait(
            job.id,
            on_event=display.event,
            timeout_s=TRAINING_TIMEOUT_S,
        )
    first_token_at = first_token(client, model)
    timings = (client.fine_tuning.jobs.retrieve(job.id).model_extra or {})["timings"]
    own = {"created_at": job.created_at, "first_token_at": first_token_at}
    return Trained(model, {**timings, **own})


def first_token(client: Tunery, model: str) -> float:
    """Unix time at which the first token of an answer came."""
    question = next(questions())
    stream = client.chat.completions.create(
        model=model, messages=question.messages, max_tokens=1, temperature=0, stream=True
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            stream.close()
            return time.time()
    raise ServerError(f"{model} answered without a token")


def compare(client: Tunery, adapter: str) -> Comparison:
    """Ask base and adapter the held-out questions."""
    asked, base = list(questions()), client.base_model()
    with phase(f"Asking {base} {len(asked)} held-out questions"):
        base_answers = ask(client, base, asked)
    with phase(f"Asking {adapter} the same"):
        adapter_answers = ask(client, adapter, asked)
    return Comparison(asked, base_answers, adapter_answers)


def ask(client: Tunery, model: str, asked: Sequence[Question]) -> list[str]:
    """The model's greedy answers, in order."""

    def answer(question: Question) -> str:
        completion = client.chat.completions.create(
            model=model, messages=question.messages, max_tokens=MAX_TOKENS, temperature=0
        )
        return completion.choices[0].message.content or ""

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        return list(pool.map(answer, asked))


def show_answers(comparison: Comparison) -> None:
    """Print ticket, right answer and both models' answers, a line each."""
    rows = []
    for question, base, adapter in zip(
        comparison.asked, comparison.base, comparison.adapter, strict=True
    ):
        marks = [f"{_mark(text, question)} {_short(text)}" for text in (base, adapter)]
        rows.append((question.ticket, _short(question.expected), *marks))
    show_table("Held-out tickets", ("ticket", "right answer", "base", "adapter"), rows)


def show_times(start_s: float, trained: Trained) -> None:
    """Print how long each part took."""
    rows = [("server start", f"{start_s:.1f} s")]
    for label, begin, end in SPANS:
        rows.append((label, f"{trained.moments[end] - trained.moments[begin]:.1f} s"))
    show_table("Times", ("", ""), rows)


def verdict(base: float, adapter: float) -> int:
    """Print the scores and whether the margin was reached; return the exit status."""
    rows = [("base", f"{base:.1%}"), ("adapter", f"{adapter:.1%}")]
    show_table("Right answers", ("", ""), rows)
    gained = adapter - base
    if gained >= MARGIN:
        console.print(f"The adapter gained {gained:.1%}; {MARGIN:.0%} were asked for.")
        return 0
    console.print(f"The demo failed: the adapter gained {gained:.1%}, less than {MARGIN:.0%}.")
    return 1


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on a terminal, else tab-separated lines under the title."""
    if not console.is_terminal:
        lines = ["\t".join(row) for row in rows]
        print(f"\n{title}", *lines, sep="\n", flush=True)
        return
    table = Table(title=title, title_justify="left", show_header=any(columns), min_width=40)
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table, soft_wrap=False)


class Stopwatch:
    """Seconds from its making until ``stop``."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.seconds = 0.0

    def stop(self) -> None:
        """Fix the reading."""
        self.seconds = time.monotonic() - self._began


@contextmanager
def phase(name: str) -> Iterator[Stopwatch]:
    """Show that something is going on, and how long it took."""
    watch = Stopwatch()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    idle = not console.is_terminal
    if idle:
        console.print(f"{name} …", markup=False)
    with Progress(*columns, console=console, transient=True, disable=idle) as progress:
        progress.add_task(name, total=None)
        yield watch
    watch.stop()
    console.print(f"{name}: {watch.seconds:.1f} s", markup=False)


def _mark(answer: str, question: Question) -> str:
    return "+" if is_right(answer, question.expected) else "-"


def _short(answer: str) -> str:
    """A label as ``queue/priority``; any other answer on one line, cut."""
    try:
        label = json.loads(answer)
        return f"{label['queue']}/{label['priority']}"
    except (ValueError, TypeError, KeyError):
        return " ".join(answer.split())[:60]


if __name__ == "__main__":
    sys.exit(main())
