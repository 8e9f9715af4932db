"""Our losses are those of plain transformers, PEFT and torch on padded batches."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from tests.integration.training.rows import make_spec, row, write_rows
from tunery_adapters.reports import AnyReport, Evaluation, Plan, Step
from tunery_adapters.spec import LoraSpec, TrainingSpec
from tunery_adapters.training import job
from tunery_adapters.training.batches import Schedule
from tunery_adapters.training.data import load
from tunery_adapters.training.examples import Example
from tunery_adapters.training.loop import Clock
from tunery_adapters.training.model import Precision
from tunery_adapters.training.optimizer import learning_rate

pytestmark = pytest.mark.training


def padded_loss(model: PeftModel, examples: Sequence[Example]) -> torch.Tensor:
    length = max(len(example.ids) for example in examples)
    ids = torch.zeros(len(examples), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for i, example in enumerate(examples):
        kept = torch.tensor(example.ids)
        ids[i, : len(kept)], mask[i, : len(kept)] = kept, 1
        labels[i, : len(kept)] = torch.where(torch.tensor(example.supervised), kept, -100)
    loss: torch.Tensor = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    return loss


def oracle(
    spec: TrainingSpec, tokenizer: PreTrainedTokenizerBase, rates: Sequence[float]
) -> tuple[list[float], float]:
    torch.manual_seed(spec.seed)
    base = AutoModelForCausalLM.from_pretrained(
        spec.base_model_path, dtype=torch.float32, attn_implementation="eager"
    )
    lora = LoraConfig("CAUSAL_LM", r=spec.lora.rank, lora_alpha=32, target_modules="all-linear")
    model = get_peft_model(base, lora)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
    examples = load(Path(spec.training_file), tokenizer, max_length=256, split="training").examples
    schedule = Schedule(len(examples), spec.batch_size, spec.n_epochs, spec.seed)
    losses = []
    for step, rate in enumerate(rates):
        loss = padded_loss(model, [examples[i] for i in schedule.batch(step)])
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    assert spec.validation_file
    held_out = load(Path(spec.validation_file), tokenizer, max_length=256, split="validation")
    return losses, padded_loss(model, held_out.examples).item()


def test_losses_are_those_of_plain_transformers(
    tmp_path: Path, tiny_model: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    held_out = write_rows(tmp_path / "held-out.jsonl", [row(i) for i in range(20, 25)])
    lora = LoraSpec(rank=8)
    spec = make_spec(tmp_path, tiny_model, lora=lora, validation_file=str(held_out), n_epochs=4)
    said: list[AnyReport] = []
    exact = Precision(torch.device("cpu"), torch.float32)
    assert job.run(spec, said.append, Event(), Clock(), exact)
    steps = [report for report in said if isinstance(report, Step)]
    losses, valid_loss = oracle(spec, tokenizer, [step.learning_rate for step in steps])
    assert [step.train_loss for step in steps] == pytest.approx(losses, abs=1e-4)
    assert losses[-1] < losses[0] - 0.1, "nothing was learnt, so nothing was compared"
    (*_, evaluation) = (report for report in said if isinstance(report, Evaluation))
    assert evaluation.valid_loss == pytest.approx(valid_loss, abs=1e-4)


@pytest.mark.parametrize("total", [1, 2, 3, 19, 20, 21, 1000])
def test_a_job_of_any_length_has_a_rate_for_every_step(total: int) -> None:
    rates = [learning_rate(step, total, peak=1.0) for step in range(total)]
    assert all(0 < rate <= 1 for rate in rates)
    assert max(rates) >= 0.5


def test_the_learning_rate_warms_up_and_falls_to_nothing(tmp_path: Path, tiny_model: Path) -> None:
    spec = make_spec(tmp_path, tiny_model, learning_rate_multiplier=0.5, n_epochs=4)
    said: list[AnyReport] = []
    assert job.run(spec, said.append, Event(), Clock())
    (plan,) = (report for report in said if isinstance(report, Plan))
    assert plan.learning_rate == pytest.approx(0.5 * 5e-4 * (2000 / 64) ** 0.781)
    rates = [report.learning_rate for report in said if isinstance(report, Step)]
    peak = rates.index(max(rates))
    assert 0 < peak < 3
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) <= plan.learning_rate
    assert 0 < rates[-1] < plan.learning_rate / 5
