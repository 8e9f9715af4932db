"""Our losses are those of TRL's SFTTrainer, the field's standard, given the same rows and rates."""

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from tests.integration.training.rows import EXACT, make_spec, run_job
from tests.integration.training.trl_runs import InOrder, batches, history
from tunery_adapters.reports import Step
from tunery_adapters.spec import LoraSpec
from tunery_adapters.training.examples import Item

pytestmark = pytest.mark.training


class Trainer(InOrder, SFTTrainer):
    """TRL's."""


def columns(item: Item) -> dict[str, list[int]]:
    """Token ids, and the mask of what the loss falls on."""
    (example,) = item.sequences
    return {
        "input_ids": list(example.ids),
        "completion_mask": [int(flag) for flag in example.supervised],
    }


def test_losses_are_those_of_trl(
    tmp_path: Path, tiny_model: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    spec = make_spec(tmp_path, tiny_model, lora=LoraSpec(rank=8), n_epochs=4, batch_size=5)
    steps = [report for report in run_job(spec, precision=EXACT) if isinstance(report, Step)]
    rates = [step.learning_rate for step in steps]
    dataset = batches(spec, tokenizer, len(rates), columns)
    logged = history(Trainer, SFTConfig, spec, tokenizer, dataset, rates, completion_only_loss=True)
    losses = [entry["loss"] for entry in logged]
    assert [step.train_loss for step in steps] == pytest.approx(losses, abs=3e-4)
    assert losses[-1] < losses[0] - 0.1, "nothing was learnt, so nothing was compared"
