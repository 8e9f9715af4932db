"""What follows from the validation loss: which step is the best, and whether to go on."""

from tunery_adapters.spec import EvaluationSpec
from tunery_adapters.training.checkpoint import State


def judged(state: State, valid_loss: float, spec: EvaluationSpec) -> State:
    """The state with an evaluation's loss taken into account.

    The best step is the one with the lowest loss, the earlier of two alike. What counts as an
    improvement for early stopping is measured from the best loss before this one.
    """
    best = state.best_valid_loss
    stopping = spec.early_stopping
    least = stopping.min_delta if stopping else 0.0
    improved = best is None or valid_loss < best - least
    changes: dict[str, object] = {
        "stale_evaluations": 0 if improved else state.stale_evaluations + 1
    }
    if best is None or valid_loss < best:
        changes |= {"best_step": state.step, "best_valid_loss": valid_loss}
    return state.model_copy(update=changes)


def stops(state: State, spec: EvaluationSpec) -> bool:
    """Whether early stopping ends the job at this state."""
    stopping = spec.early_stopping
    return stopping is not None and state.stale_evaluations >= stopping.patience
