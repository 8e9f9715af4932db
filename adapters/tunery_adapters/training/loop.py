"""The training loop: steps, evaluations, checkpoints, and what is said about them."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Event
from time import monotonic, time
from typing import TypeAlias

from tunery_adapters import fault
from tunery_adapters.fault import Point
from tunery_adapters.reports import (
    AnyReport,
    Checkpoint,
    Evaluation,
    Spent,
    Stopped,
    TrainingMetrics,
    ValidationMetrics,
)
from tunery_adapters.reports import Step as StepReport
from tunery_adapters.spec import EvaluationSpec
from tunery_adapters.training.batches import Schedule
from tunery_adapters.training.checkpoint import ADAPTER, Checkpoints, Found, State
from tunery_adapters.training.examples import Dataset, Item
from tunery_adapters.training.meter import Meter
from tunery_adapters.training.optimizer import learning_rate
from tunery_adapters.training.selection import judged, stops
from tunery_adapters.training.steps import Learner

RECOVERY_INTERVAL_S = 300.0
"""A trainer that is killed within a long epoch loses at most so much work."""

_RECENT_STEPS = 20

_OF_ONE_STEP = {
    *TrainingMetrics.model_fields,
    *ValidationMetrics.model_fields,
    *("step", "ends_epoch", "evaluated"),
}
"""What a job knows of its last step alone."""

_SPENT = Spent.model_fields.keys()

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
    evaluation: EvaluationSpec

    @property
    def steps_between_evaluations(self) -> int | None:
        """Those that were asked for beside the end of each epoch, if there is something to do."""
        return self.evaluation.eval_every if self.validation else None

    def trained_tokens(self, step: int) -> int:
        """Tokens under the loss in the first ``step`` steps."""
        epochs = step // self.schedule.steps_per_epoch
        seen = (self.training.examples[i] for i in self.schedule.seen(step))
        return self.training.trained_tokens * epochs + sum(item.trained_tokens for item in seen)


def check_stop(stop: Event) -> None:
    """Raise StopRequestedError if the job was asked to stop."""
    if stop.is_set():
        raise StopRequestedError


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
        meter: Meter,
    ) -> None:
        self.state = state
        self.trained_tokens = course.trained_tokens(state.step)
        self.last_step_at = clock.unix()
        self._course = course
        self._learner = learner
        self._checkpoints = checkpoints
        self._report = report
        self._stop = stop
        self._clock = clock
        self._meter = meter
        self._saved_step = state.step
        self._saved_at = clock.monotonic()
        self._recent: deque[tuple[int, float]] = deque(maxlen=_RECENT_STEPS)

    @property
    def stopped_early(self) -> bool:
        """Whether early stopping ended the job, or would if it went on."""
        return stops(self.state, self._course.evaluation)

    def run(self) -> bool:
        """Train to the end, or to the next pass after a stop was asked for; True if to the end."""
        try:
            while self._goes_on():
                self._step()
                self._save_if_due()
        except StopRequestedError:
            self.save()
            self._report(Stopped(step=self.state.step))
            return False
        return True

    def save(self) -> None:
        """Write a checkpoint of this step unless there is one."""
        if self.state.step > self._saved_step:
            self._save()

    def spent(self) -> Spent:
        """What the job has taken by now."""
        self._read_meter()
        return _spent(self.state)

    def _goes_on(self) -> bool:
        schedule, step = self._course.schedule, self.state.step
        every = self._course.steps_between_evaluations
        if schedule.ends_epoch(step):
            if not self.state.ends_epoch:
                self._end_epoch()
        elif every and step and step % every == 0 and not self.state.evaluated:
            self._look()
        return step < schedule.total_steps and not self.stopped_early

    def _step(self) -> None:
        course, step = self._course, self.state.step
        batch = [course.training.examples[i] for i in course.schedule.batch(step)]
        rate = learning_rate(step, course.schedule.total_steps, course.peak_learning_rate)
        started = self._clock.monotonic()
        score = self._learner.train(batch, rate, course.schedule.seed_of(step), self._check_stop)
        self._recent.append((_tokens(batch), self._clock.monotonic() - started))
        self.last_step_at = self._clock.unix()
        self.trained_tokens += sum(item.trained_tokens for item in batch)
        self.state = State(
            **self.state.model_dump(exclude=_OF_ONE_STEP),
            step=step + 1,
            **self._learner.objective.metrics(score, "train"),
        )
        self._read_meter()
        self._report(self._step_report(_tokens(batch), rate))
        fault.point(Point.TRAIN_STEP)

    def _step_report(self, tokens: int, rate: float) -> StepReport:
        schedule, state = self._course.schedule, self.state
        seconds = sum(seconds for _, seconds in self._recent) or 1e-9
        steps_left = schedule.total_steps - state.step
        return StepReport(
            step=state.step,
            total_steps=schedule.total_steps,
            epoch=state.step / schedule.steps_per_epoch,
            **state.model_dump(include=TrainingMetrics.model_fields.keys() | _SPENT),
            learning_rate=rate,
            tokens=tokens,
            trained_tokens=self.trained_tokens,
            tokens_per_s=sum(tokens for tokens, _ in self._recent) / seconds,
            seconds_left=steps_left * seconds / len(self._recent),
        )

    def _end_epoch(self) -> None:
        if self._course.validation and not self.state.evaluated:
            self._evaluate(self._course.validation)
        self.state = self.state.model_copy(update={"ends_epoch": True})
        self._report(checkpoint_report(self._save()))

    def _look(self) -> None:
        """Evaluate within an epoch; what may be kept in the end is saved."""
        if self._course.validation:
            self._evaluate(self._course.validation)
        if self._course.evaluation.keep == "best" and self.state.best_step == self.state.step:
            self._save()

    def _evaluate(self, validation: Dataset) -> None:
        score = self._learner.evaluate(validation.examples, self._check_stop)
        found = self._learner.objective.metrics(score, "valid")
        self._report(Evaluation(step=self.state.step, **found))
        evaluated = self.state.model_copy(update={"evaluated": True, **found})
        self.state = judged(evaluated, score.loss, self._course.evaluation)

    def _check_stop(self) -> None:
        check_stop(self._stop)

    def _save_if_due(self) -> None:
        if self._clock.monotonic() - self._saved_at >= RECOVERY_INTERVAL_S:
            self._save()

    def _read_meter(self) -> None:
        total = _spent(self.state) + self._meter.lap()
        self.state = self.state.model_copy(update=total.model_dump())

    def _save(self) -> Found:
        self._read_meter()
        found = self._checkpoints.write(self.state, self._learner.model, self._learner.optimizer)
        self._saved_step, self._saved_at = self.state.step, self._clock.monotonic()
        return found


def checkpoint_report(found: Found) -> Checkpoint:
    """Say where a checkpoint's adapter lies and how good it is."""
    return Checkpoint(
        adapter_path=str(found.folder / ADAPTER),
        **found.state.model_dump(
            include=Checkpoint.model_fields.keys() & State.model_fields.keys()
        ),
    )


def _spent(state: State) -> Spent:
    return Spent(**state.model_dump(include=set(_SPENT)))


def _tokens(examples: Iterable[Item]) -> int:
    return sum(example.tokens for example in examples)
