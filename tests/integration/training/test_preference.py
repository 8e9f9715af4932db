"""Preference pairs: the loss and metrics of TRL's DPOTrainer, and a reference that never moves."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl import DPOConfig, DPOTrainer

from tests.integration.training.rows import (
    EXACT,
    at_step,
    make_spec,
    pair,
    run_job,
    weights_of,
    write_rows,
)
from tests.integration.training.trl_runs import InOrder, batches, history
from tunery_adapters.reports import (
    AnyReport,
    Checkpoint,
    DataReport,
    Evaluation,
    Loaded,
    Plan,
    Step,
    Stopped,
)
from tunery_adapters.spec import LoraSpec, TrainingSpec
from tunery_adapters.training import model as models
from tunery_adapters.training.data import load
from tunery_adapters.training.examples import Example, Item

pytestmark = pytest.mark.training

BETA = 0.3


def dpo_spec(folder: Path, model: Path, **changes: Any) -> TrainingSpec:
    training = write_rows(folder / "pairs.jsonl", [pair(i) for i in range(10)])
    held_out = write_rows(folder / "held-out.jsonl", [pair(i) for i in range(20, 25)])
    given: dict[str, Any] = {
        "training_file": str(training),
        "validation_file": str(held_out),
        "format": "preference",
        "beta": BETA,
        "lora": LoraSpec(rank=8),
        "learning_rate_multiplier": 10.0,
    }
    return make_spec(folder, model, **{**given, **changes})


class Trainer(InOrder, DPOTrainer):
    """TRL's, which takes tokens as they are."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


def columns(item: Item) -> dict[str, list[int]]:
    """The prompt's token ids, and those of both answers."""
    (prompt, chosen), (same, rejected) = map(parts, item.sequences)
    assert prompt == same
    return {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}


def parts(example: Example) -> tuple[list[int], list[int]]:
    first = example.supervised.index(True)
    return list(example.ids[:first]), list(example.ids[first:])


def steps_of(said: Sequence[AnyReport]) -> list[Step]:
    return [report for report in said if isinstance(report, Step)]


def test_losses_and_rewards_are_those_of_trl(
    tmp_path: Path, tiny_model: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    spec = dpo_spec(tmp_path, tiny_model, n_epochs=4, batch_size=5)
    steps = steps_of(run_job(spec, precision=EXACT))
    rates = [step.learning_rate for step in steps]
    dataset = batches(spec, tokenizer, len(rates), columns)
    logged = history(
        Trainer,
        DPOConfig,
        spec,
        tokenizer,
        dataset,
        rates,
        beta=BETA,
        precompute_ref_log_probs=False,
    )
    for name, ours in {
        "loss": [step.train_loss for step in steps],
        "rewards/accuracies": [step.train_accuracy for step in steps],
        "rewards/margins": [step.train_reward_margin for step in steps],
    }.items():
        assert ours == pytest.approx([entry[name] for entry in logged], abs=3e-4), name
    assert steps[0].train_loss == pytest.approx(0.6931, abs=1e-3)
    assert steps[-1].train_loss < 0.4, "nothing was learnt, so nothing was compared"


def test_a_job_on_pairs_says_what_it_does(tmp_path: Path, tiny_model: Path) -> None:
    said = run_job(dpo_spec(tmp_path, tiny_model, learning_rate_multiplier=1.0))
    step = steps_of(said)[0]
    assert step.train_mean_token_accuracy is None
    assert {step.train_accuracy, step.train_reward_margin} == {0.0}
    data = next(report for report in said if isinstance(report, DataReport))
    assert data.examples == 10
    (*_, evaluation) = (report for report in said if isinstance(report, Evaluation))
    (*_, checkpoint) = (report for report in said if isinstance(report, Checkpoint))
    assert evaluation.valid_loss == checkpoint.valid_loss
    assert evaluation.valid_accuracy == checkpoint.valid_accuracy is not None
    assert evaluation.valid_reward_margin == checkpoint.valid_reward_margin is not None
    (plan,) = (report for report in said if isinstance(report, Plan))
    assert plan.learning_rate == pytest.approx(0.1 * 5e-4 * (2000 / 64) ** 0.781)


@pytest.mark.parametrize("step", [1, 3, 5])
@pytest.mark.parametrize("reference", ["kept", "lost", "damaged"])
def test_a_stopped_job_goes_on_against_the_same_reference(
    tmp_path: Path, tiny_model: Path, step: int, reference: str
) -> None:
    calm = dpo_spec(tmp_path, tiny_model)
    run_job(calm)
    spec = calm.model_copy(update={"output_dir": str(tmp_path / "again")})
    assert run_job(spec, until=at_step(step))[-1] == Stopped(step=step)
    file = Path(spec.output_dir) / "reference" / "log_ratios.json"
    if reference == "lost":
        file.unlink()
    if reference == "damaged":
        file.write_text(file.read_text().replace("1", "2"))
    loaded = run_job(spec)[0]
    assert isinstance(loaded, Loaded)
    assert loaded.resumed_from_step == step
    assert weights_of(spec.output_dir) == weights_of(calm.output_dir)


def test_the_reference_is_computed_once(tmp_path: Path, tiny_model: Path) -> None:
    spec = dpo_spec(tmp_path, tiny_model)
    run_job(spec, until=at_step(1))
    file = Path(spec.output_dir) / "reference" / "log_ratios.json"
    ratios = json.loads(file.read_text())["ratios"]
    assert {split: len(known) for split, known in ratios.items()} == {
        "training": 10,
        "validation": 5,
    }
    written = file.stat().st_ino
    run_job(spec)
    assert file.stat().st_ino == written


def test_a_job_stopped_before_its_reference_is_known_left_nothing(
    tmp_path: Path, tiny_model: Path
) -> None:
    spec = dpo_spec(tmp_path, tiny_model)
    said = run_job(spec, until=lambda report: report.type == "plan")
    assert said[-1] == Stopped(step=0)
    assert not Path(spec.output_dir).exists()


def test_attention_of_the_models_own_gives_the_same_losses(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that cannot be packed takes the two answers one after the other."""
    spec = dpo_spec(tmp_path, tiny_model)
    packed = [step.train_loss for step in steps_of(run_job(spec, precision=EXACT))]
    monkeypatch.setattr(models, "can_pack", lambda config, max_length: False)
    alone = spec.model_copy(update={"output_dir": str(tmp_path / "alone")})
    losses = [step.train_loss for step in steps_of(run_job(alone, precision=EXACT))]
    assert losses == pytest.approx(packed, abs=1e-4)


def test_pairs_that_a_cut_made_alike_are_dropped(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    long = {"role": "assistant", "content": "so " * 100}
    same = {**pair(0), "preferred_output": [long]}
    same["non_preferred_output"] = [{**long, "content": long["content"] + "what"}]
    file = write_rows(tmp_path / "pairs.jsonl", [same, pair(1)])
    dataset = load(file, tokenizer, max_length=80, split="training", format="preference")
    assert len(dataset.examples) == 1
    assert (dataset.truncated_examples, dataset.dropped_examples) == (1, 1)
