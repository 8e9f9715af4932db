"""The training loop: steps, evaluations, checkpoints, and what is said about them."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Event
from time import monotonic, time
from typing import TypeAlias

from tunery_adapters.reports import AnyReport, Checkpoint, Evaluation, Stopped
from tunery_adapters.reports import Step as StepReport
from tunery_adapters.training.batches import Schedule
from tunery_adapters.training.checkpoint import ADAPTER, Checkpoints, Found, State
from tunery_adapters.training.data import Dataset, Example
from tunery_adapters.training.optimizer import learning_rate
from tunery_adapters.training.steps import Learner

RECOVERY_INTERVAL_S = 300.0
"""A trainer that is killed within a long epoch loses at most so much work."""

_RECENT_STEPS = 20

Report: TypeAlias = Callable[[AnyReport], None]


class StopRequestedError(Exception):
    """Raised between passes when the job was asked to stop."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from, in seconds."""

    monotonic: Callable[[], float] = monotonic
    unix: Callable[[], float] = time


@dataclass(frozen=True, slots=True)
class Course:
    """What is to be learnt, in which order and how fast."""

    training: Dataset
    validation: Dataset | None
    schedule: Schedule
    peak_learning_rate: float


class Loop:
    """One job under way. Everything that a resumed run must know is in ``state``."""

    def __init__(
        self,
        course: Course,
        learner: Learner,
        checkpoints: Checkpoints,
        state: State,
        report: Report,
        stop: Event,
        clock: Clock,
    ) -> None:
        self.state = state
        self.last_step_at = clock.unix()
        self._course = course
        self._learner = learner
        self._checkpoints = checkpoints
        self._report = report
        self._stop = stop
        self._clock = clock
        self._saved_step = state.step
        self._saved_at = clock.monotonic()
        self._recent: deque[tuple[int, float]] = deque(maxlen=_RECENT_STEPS)

    def run(self) -> bool:
        """Train to the end, or to the next pass after a stop was asked for; True if to the end."""
        try:
            while self._goes_on():
                self._step()
                self._save_if_due()
        except StopRequestedError:
            if self.state.step > self._saved_step:
                self._save()
            self._report(Stopped(step=self.state.step))
            return False
        return True

    def _goes_on(self) -> bool:
        schedule = self._course.schedule
        if schedule.ends_epoch(self.state.step) and not self.state.ends_epoch:
            self._end_epoch()
        return self.state.step < schedule.total_steps

    def _step(self) -> None:
        course, step = self._course, self.state.step
        batch = [course.training.examples[i] for i in course.schedule.batch(step)]
        rate = learning_rate(step, course.schedule.total_steps, course.peak_learning_rate)
        started = self._clock.monotonic()
        score = self._learner.train(batch, rate, course.schedule.seed_of(step), self._check_stop)
        self._recent.append((_tokens(batch), self._clock.monotonic() - started))
        self.last_step_at = self._clock.unix()
        self.state = State(
            job=self.state.job,
            step=step + 1,
            dtype=self.state.dtype,
            train_loss=score.loss,
            train_mean_token_accuracy=score.accuracy,
        )
        self._report(self._step_report(_tokens(batch), rate))

    def _step_report(self, tokens: int, rate: float) -> StepReport:
        schedule, state = self._course.schedule, self.state
        seconds = sum(seconds for _, seconds in self._recent) or 1e-9
        steps_left = schedule.total_steps - state.step
        return StepReport(
            step=state.step,
            total_steps=schedule.total_steps,
            epoch=state.step / schedule.steps_per_epoch,
            train_loss=state.train_loss,
            train_mean_token_accuracy=state.train_mean_token_accuracy,
            learning_rate=rate,
            tokens=tokens,
            tokens_per_s=sum(tokens for tokens, _ in self._recent) / seconds,
            seconds_left=steps_left * seconds / len(self._recent),
        )

    def _end_epoch(self) -> None:
        evaluated = self._evaluate() if self._course.validation else {}
        self.state = self.state.model_copy(update={"ends_epoch": True, **evaluated})
        self._report(checkpoint_report(self._save()))

    def _evaluate(self) -> dict[str, float]:
        examples = self._course.validation.examples if self._course.validation else ()
        score = self._learner.evaluate(examples, self._check_stop)
        found = {"valid_loss": score.loss, "valid_mean_token_accuracy": score.accuracy}
        self._report(Evaluation(step=self.state.step, **found))
        return found

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise StopRequestedError

    def _save_if_due(self) -> None:
        if self._clock.monotonic() - self._saved_at >= RECOVERY_INTERVAL_S:
            self._save()

    def _save(self) -> Found:
        found = self._checkpoints.write(self.state, self._learner.model, self._learner.optimizer)
        self._saved_step, self._saved_at = self.state.step, self._clock.monotonic()
        return found


def checkpoint_report(found: Found) -> Checkpoint:
    """Say where a checkpoint's adapter lies and how good it is."""
    return Checkpoint(
        adapter_path=str(found.folder / ADAPTER),
        **found.state.model_dump(exclude={"job", "ends_epoch", "dtype"}),
    )


def _tokens(examples: Iterable[Example]) -> int:
    return sum(len(example.ids) for example in examples)
