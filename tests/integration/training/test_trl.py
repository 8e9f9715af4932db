"""Our losses are those of TRL's SFTTrainer, the field's standard, given the same rows and rates."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from tests.integration.training.rows import make_spec
from tunery_adapters.reports import AnyReport, Step
from tunery_adapters.spec import LoraSpec, TrainingSpec
from tunery_adapters.training import job
from tunery_adapters.training.batches import Schedule
from tunery_adapters.training.data import load
from tunery_adapters.training.loop import Clock
from tunery_adapters.training.model import Precision

pytestmark = pytest.mark.training


class InOrder(SFTTrainer):
    """Takes the rows as they come: our schedule has put them in order."""

    def _get_train_sampler(self, dataset: Dataset | None = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


def in_order(spec: TrainingSpec, tokenizer: PreTrainedTokenizerBase, steps: int) -> Dataset:
    """Every batch of every epoch, as token ids and the mask of what the loss falls on."""
    examples = load(Path(spec.training_file), tokenizer, max_length=256, split="training").examples
    schedule = Schedule(len(examples), spec.batch_size, spec.n_epochs, spec.seed)

    def rows() -> Iterator[dict[str, list[int]]]:
        for step in range(steps):
            for index in schedule.batch(step):
                mask = [int(supervised) for supervised in examples[index].supervised]
                yield {"input_ids": list(examples[index].ids), "completion_mask": mask}

    return Dataset.from_list(list(rows()))


def trl_losses(
    spec: TrainingSpec, tokenizer: PreTrainedTokenizerBase, rates: Sequence[float], folder: Path
) -> list[float]:
    torch.manual_seed(spec.seed)
    base = AutoModelForCausalLM.from_pretrained(spec.base_model_path, dtype=torch.float32)
    lora = LoraConfig("CAUSAL_LM", r=spec.lora.rank, lora_alpha=32, target_modules="all-linear")
    model = get_peft_model(base, lora)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=0.0)
    trainer = InOrder(
        model=model,
        processing_class=tokenizer,
        train_dataset=in_order(spec, tokenizer, len(rates)),
        optimizers=(optimizer, LambdaLR(optimizer, lambda step: (*rates, 0.0)[step])),
        args=SFTConfig(
            output_dir=str(folder),
            per_device_train_batch_size=spec.batch_size,
            max_steps=len(rates),
            max_grad_norm=1.0,
            max_length=None,
            completion_only_loss=True,
            gradient_checkpointing=False,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            bf16=False,
            seed=spec.seed,
        ),
    )
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def test_losses_are_those_of_trl(
    tmp_path: Path, tiny_model: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    lora = LoraSpec(rank=8)
    spec = make_spec(tmp_path, tiny_model, lora=lora, n_epochs=4, batch_size=5)
    said: list[AnyReport] = []
    exact = Precision(torch.device("cpu"), torch.float32)
    assert job.run(spec, said.append, Event(), Clock(), exact)
    steps = [report for report in said if isinstance(report, Step)]
    losses = trl_losses(spec, tokenizer, [step.learning_rate for step in steps], tmp_path / "trl")
    assert len(losses) == len(steps)
    assert [step.train_loss for step in steps] == pytest.approx(losses, abs=3e-4)
    assert losses[-1] < losses[0] - 0.1, "nothing was learnt, so nothing was compared"
