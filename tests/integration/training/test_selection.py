"""Evaluation every n steps, early stopping, and which step's adapter is kept."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from tests.integration.training.rows import (
    at_step,
    make_spec,
    row,
    run_job,
    weights_of,
    write_rows,
)
from tests.tiny import TINY
from tunery_adapters.reports import AnyReport, Checkpoint, Evaluation, Finished, SkippedCheckpoint
from tunery_adapters.spec import EarlyStopping, EvaluationSpec, LoraSpec, TrainingSpec
from tunery_adapters.training.checkpoint import State
from tunery_adapters.training.selection import judged, stops

pytestmark = pytest.mark.training

STATE = State(job="job", dtype="float32")


@pytest.fixture(scope="module")
def sharp_model(
    tokenizer: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """As the tiny model, with weights so large that it can grow sure of what is wrong."""
    config = copy.deepcopy(TINY)
    config.initializer_range = 0.3
    folder = tmp_path_factory.mktemp("models") / "sharp"
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def after(losses: Sequence[float], spec: EvaluationSpec) -> State:
    state = STATE
    for step, loss in enumerate(losses, start=1):
        state = judged(state.model_copy(update={"step": step}), loss, spec)
    return state


@pytest.mark.parametrize(
    ("losses", "min_delta", "best", "stale", "over"),
    [
        ([3.0], 0.0, 1, 0, False),
        ([3.0, 2.0, 1.0], 0.0, 3, 0, False),
        ([3.0, 3.0], 0.0, 1, 1, False),
        ([3.0, 3.5, 3.1], 0.0, 1, 2, True),
        ([3.0, 3.5, 2.9], 0.0, 3, 0, False),
        ([3.0, 2.95, 2.9], 0.1, 3, 2, True),
        ([3.0, 2.8, 2.9], 0.1, 2, 1, False),
    ],
)
def test_what_follows_from_losses(
    losses: list[float], min_delta: float, best: int, stale: int, over: bool
) -> None:
    spec = EvaluationSpec(early_stopping=EarlyStopping(patience=2, min_delta=min_delta))
    state = after(losses, spec)
    assert (state.best_step, state.stale_evaluations) == (best, stale)
    assert state.best_valid_loss == losses[best - 1]
    assert stops(state, spec) is over
    assert not stops(state, EvaluationSpec())


def unlike(number: int) -> dict[str, Any]:
    """A row whose answer has less and less to do with those of the training rows."""
    messages = row(number)["messages"]
    answer = {"role": "assistant", "content": "account zebra otter heron lynx finch stoat"}
    return {"messages": [*messages[:-1], answer]}


def overfitting(folder: Path, model: Path, **changes: Any) -> TrainingSpec:
    """A job whose validation loss falls and then rises: five steps an epoch, 25 in all."""
    held_out = write_rows(folder / "held-out.jsonl", [unlike(i) for i in range(20, 24)])
    return make_spec(
        folder,
        model,
        validation_file=str(held_out),
        n_epochs=5,
        learning_rate_multiplier=2.0,
        lora=LoraSpec(rank=8, dropout=0.1),
        **{"batch_size": 2, **changes},
    )


def evaluations(said: Sequence[AnyReport]) -> dict[int, float]:
    return {report.step: report.valid_loss for report in said if isinstance(report, Evaluation)}


BEST = EvaluationSpec(eval_every=2, keep="best")
EARLY = EvaluationSpec(eval_every=2, early_stopping=EarlyStopping(patience=3), keep="best")


def test_every_n_steps_and_at_the_end_of_each_epoch(tmp_path: Path, sharp_model: Path) -> None:
    said = run_job(overfitting(tmp_path, sharp_model, evaluation=EvaluationSpec(eval_every=2)))
    expected = {step for step in range(1, 26) if step % 2 == 0 or step % 5 == 0}
    assert evaluations(said).keys() == expected
    checkpoints = [report for report in said if isinstance(report, Checkpoint)]
    assert [report.step for report in checkpoints] == list(range(5, 26, 5))
    finished = said[-1]
    assert isinstance(finished, Finished)
    assert (finished.step, finished.last_step, finished.stop_reason) == (25, 25, "completed")


def test_without_a_validation_file_nothing_is_evaluated(tmp_path: Path, sharp_model: Path) -> None:
    spec = make_spec(tmp_path, sharp_model, evaluation=EvaluationSpec(eval_every=1))
    assert not evaluations(run_job(spec))


def test_the_best_steps_adapter_is_kept(tmp_path: Path, sharp_model: Path) -> None:
    spec = overfitting(tmp_path, sharp_model, evaluation=BEST)
    said = run_job(spec)
    found = evaluations(said)
    best = min(found, key=lambda step: found[step])
    assert 1 < best < 25, "the loss has to have a minimum within"
    finished = said[-1]
    assert isinstance(finished, Finished)
    assert (finished.step, finished.valid_loss) == (best, found[best])
    assert (finished.last_step, finished.stop_reason) == (25, "completed")
    # The same job, stopped when it had taken that step.
    stopped = spec.model_copy(update={"output_dir": str(tmp_path / "stopped")})
    run_job(stopped, until=at_step(best))
    (folder,) = (Path(stopped.output_dir) / "checkpoints").glob(f"*-{best}")
    kept = (folder / "adapter" / "adapter_model.safetensors").read_bytes()
    assert weights_of(spec.output_dir) == kept


def test_a_job_that_gets_no_better_stops(tmp_path: Path, sharp_model: Path) -> None:
    said = run_job(overfitting(tmp_path, sharp_model, evaluation=EARLY))
    finished = said[-1]
    assert isinstance(finished, Finished)
    assert finished.stop_reason == "early_stopping"
    found = evaluations(said)
    assert finished.last_step == max(found) < 25
    later = [step for step in found if step > finished.step]
    assert len(later) == 3, "as many evaluations as its patience lasts"
    assert finished.valid_loss == min(found.values())


def test_the_last_step_of_a_job_that_stopped_early_is_kept_if_asked(
    tmp_path: Path, sharp_model: Path
) -> None:
    evaluation = EARLY.model_copy(update={"keep": "last"})
    spec = overfitting(tmp_path, sharp_model, evaluation=evaluation)
    finished = run_job(spec)[-1]
    assert isinstance(finished, Finished)
    assert finished.step == finished.last_step
    assert finished.stop_reason == "early_stopping"


def test_trained_tokens_are_those_of_the_steps_taken(tmp_path: Path, sharp_model: Path) -> None:
    whole = run_job(make_spec(tmp_path, sharp_model, n_epochs=1))[-1]
    said = run_job(overfitting(tmp_path, sharp_model, evaluation=EARLY))
    finished = said[-1]
    assert isinstance(whole, Finished)
    assert isinstance(finished, Finished)
    assert finished.last_step is not None
    epochs = finished.last_step / 5
    assert whole.trained_tokens * int(epochs) <= finished.trained_tokens
    assert finished.trained_tokens <= whole.trained_tokens * (int(epochs) + 1)


@pytest.mark.parametrize("step", [1, 4, 5, 8, 9, 13])
def test_a_resumed_job_selects_as_an_undisturbed_one(
    tmp_path: Path, sharp_model: Path, step: int
) -> None:
    calm = overfitting(tmp_path, sharp_model, evaluation=EARLY)
    whole = run_job(calm)
    spec = calm.model_copy(update={"output_dir": str(tmp_path / "again")})
    first = run_job(spec, until=at_step(step))
    second = run_job(spec)
    assert weights_of(spec.output_dir) == weights_of(calm.output_dir)
    assert evaluations([*first, *second]) == evaluations(whole)
    changed = {"last_step_at": 0.0, "adapter_path": "", "training_s": 0.0}
    ends = [said[-1].model_copy(update=changed) for said in (whole, second)]
    assert ends[0] == ends[1]


def test_a_best_checkpoint_that_is_damaged_gives_way_to_the_last(
    tmp_path: Path, sharp_model: Path
) -> None:
    spec = overfitting(tmp_path, sharp_model, evaluation=BEST)

    def damage(report: AnyReport) -> bool:
        if isinstance(report, Evaluation) and report.step == 25:
            for file in (Path(spec.output_dir) / "checkpoints").glob("*/adapter/*.safetensors"):
                file.write_bytes(file.read_bytes()[:-1])
        return False

    said = run_job(spec, until=damage)
    assert any(isinstance(report, SkippedCheckpoint) for report in said)
    finished = said[-1]
    assert isinstance(finished, Finished)
    assert finished.step == 25


def test_two_checkpoints_and_the_best_stay_until_the_end(tmp_path: Path, sharp_model: Path) -> None:
    spec = overfitting(tmp_path, sharp_model, evaluation=BEST, batch_size=1)
    seen: list[set[str]] = []

    def look(report: AnyReport) -> bool:
        folder = Path(spec.output_dir) / "checkpoints"
        seen.append({path.name for path in folder.glob("*-*")})
        return False

    said = run_job(spec, until=look)
    there = [len(names) for names in seen]
    first = there.index(2)
    assert min(there[first:]) == 2
    finished = said[-1]
    assert isinstance(finished, Finished)
    assert seen[-1] >= {f"recovery-{finished.step}"} or seen[-1] >= {f"step-{finished.step}"}
    recoveries = [sum(name.startswith("recovery") for name in names) for names in seen]
    assert max(recoveries) <= 4
