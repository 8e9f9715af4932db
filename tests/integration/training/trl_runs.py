"""TRL, the field's standard, over the very batches and rates of a job of ours."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from tunery_adapters.spec import TrainingSpec
from tunery_adapters.training.batches import Schedule
from tunery_adapters.training.data import load
from tunery_adapters.training.examples import Item


class InOrder:
    """For a trainer of TRL's: takes the rows as they come, for our schedule has ordered them."""

    train_dataset: Dataset

    def _get_train_sampler(self, dataset: Dataset | None = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


def batches(
    spec: TrainingSpec,
    tokenizer: PreTrainedTokenizerBase,
    steps: int,
    columns: Callable[[Item], dict[str, list[int]]],
) -> Dataset:
    """What the job's first ``steps`` steps learn from, one after the other."""
    file = Path(spec.training_file)
    items = load(file, tokenizer, max_length=256, split="training", format=spec.format).examples
    schedule = Schedule(len(items), spec.batch_size, spec.n_epochs, spec.seed)
    indices = [index for step in range(steps) for index in schedule.batch(step)]
    return Dataset.from_list([columns(items[index]) for index in indices])


def history(
    trainer_class: Callable[..., Any],
    config_class: Callable[..., Any],
    spec: TrainingSpec,
    tokenizer: PreTrainedTokenizerBase,
    dataset: Dataset,
    rates: Sequence[float],
    **settings: Any,
) -> list[dict[str, float]]:
    """What TRL logs of each step, given the same LoRA, rows and learning rates as the job."""
    torch.manual_seed(spec.seed)
    base = AutoModelForCausalLM.from_pretrained(spec.base_model_path, dtype=torch.float32)
    lora = LoraConfig("CAUSAL_LM", r=spec.lora.rank, lora_alpha=32, target_modules="all-linear")
    model = get_peft_model(base, lora)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=0.0)
    trainer = trainer_class(
        model=model,
        processing_class=tokenizer,
        train_dataset=dataset,
        optimizers=(optimizer, LambdaLR(optimizer, lambda step: (*rates, 0.0)[step])),
        args=config_class(
            output_dir=str(Path(spec.output_dir) / "trl"),
            per_device_train_batch_size=spec.batch_size,
            max_steps=len(rates),
            max_grad_norm=1.0,
            max_length=None,
            gradient_checkpointing=False,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            bf16=False,
            seed=spec.seed,
            **settings,
        ),
    )
    trainer.train()
    return [entry for entry in trainer.state.log_history if "loss" in entry]
