"""``python -m benchmarks.trainers <name> <folder>``: one trainer over a job, when told to.

It takes as many optimiser steps as each line of its standard input says, and answers with a line of
JSON: see Taken. The trainers are Tunery's (``tunery``), transformers' (``transformers``) and TRL's
(``trl``), over the same LoRA, rows, batches and learning rates, in the same numbers.
"""

import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from threading import Event
from typing import Any, TextIO, TypeAlias

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import SequentialSampler
from transformers import (
    AutoModelForCausalLM,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from tunery_adapters.base_model import read_shape
from tunery_adapters.reports import AnyReport, Plan, Step
from tunery_adapters.spec import TrainingSpec
from tunery_adapters.training import job
from tunery_adapters.training.batches import Schedule
from tunery_adapters.training.data import load
from tunery_adapters.training.examples import Item
from tunery_adapters.training.loop import Clock
from tunery_adapters.training.model import Precision
from tunery_adapters.training.optimizer import learning_rate, peak_learning_rate
from tunery_adapters.training.output import claim_stdout
from tunery_adapters.training.tokenizer import load_tokenizer


@dataclass(frozen=True, slots=True)
class Taken:
    """What some steps took."""

    tokens: int
    """That are no padding."""
    trained_tokens: int
    """Under the loss."""
    cpu_s: float
    losses: tuple[float, ...]
    peak_bytes: int
    """Highest resident set so far, above that of the libraries and the base's weights."""


class Pace:
    """Lets a trainer take the steps that it is told to, and says what they took."""

    def __init__(self, orders: TextIO, answers: TextIO, base_bytes: int) -> None:
        self._orders = orders
        self._answers = answers
        self._before = _resident_bytes() + base_bytes
        self._steps: list[tuple[list[Item], float]] = []
        self._wanted = 0
        self._started = 0.0

    def wait(self) -> None:
        """For the next order. Raises SystemExit when there will be none."""
        line = self._orders.readline()
        if not line:
            raise SystemExit
        self._steps, self._wanted, self._started = [], int(line), time.process_time()

    def step(self, batch: list[Item], loss: float) -> None:
        """One more step was taken."""
        self._steps.append((batch, loss))
        if len(self._steps) == self._wanted:
            self._answers.write(dumps(asdict(self._taken())) + "\n")
            self.wait()

    def _taken(self) -> Taken:
        seconds = time.process_time() - self._started
        items = [item for batch, _ in self._steps for item in batch]
        return Taken(
            tokens=sum(item.tokens for item in items),
            trained_tokens=sum(item.trained_tokens for item in items),
            cpu_s=seconds,
            losses=tuple(loss for _, loss in self._steps),
            peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - self._before,
        )


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Task:
    """The job's batches in their order."""

    def __init__(self, spec: TrainingSpec) -> None:
        self.spec = spec
        self.tokenizer = load_tokenizer(spec.base_model_path, templated=False)
        file, length, format = Path(spec.training_file), spec.max_length, spec.format
        rows = load(file, self.tokenizer, max_length=length, split="training", format=format)
        schedule = Schedule(len(rows.examples), spec.batch_size, spec.n_epochs, spec.seed)
        self.batches = [
            [rows.examples[i] for i in schedule.batch(step)] for step in range(schedule.total_steps)
        ]

    def rows(self, columns: Callable[[Item], dict[str, list[int]]]) -> Dataset:
        """All of them, one after the other."""
        return Dataset.from_list([columns(item) for batch in self.batches for item in batch])


def tunery(task: Task, pace: Pace, precision: Precision) -> None:
    """The job as the service runs it."""
    batches = iter(task.batches)

    def report(said: AnyReport) -> None:
        if isinstance(said, Plan):
            pace.wait()
        if isinstance(said, Step):
            pace.step(next(batches), said.train_loss)

    job.run(task.spec, report, Event(), Clock(), precision)


class Paced(TrainerCallback):
    """Keeps a trainer of transformers' to its pace."""

    def __init__(self, task: Task, pace: Pace) -> None:
        self._batches = iter(task.batches)
        self._pace = pace

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Nothing is learnt before the first order."""
        self._pace.wait()

    def on_log(self, *_: Any, **said: Any) -> None:
        """After each step, with its loss."""
        self._pace.step(next(self._batches), said["logs"]["loss"])


class InOrder:
    """Takes the rows as they come: the job's schedule has ordered them."""

    train_dataset: Dataset

    def _get_train_sampler(self, dataset: Dataset | None = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


class _Trainer(InOrder, Trainer):
    pass


def transformers(task: Task, pace: Pace, precision: Precision) -> None:
    """Its Trainer, on padded batches."""

    def columns(item: Item) -> dict[str, list[int]]:
        (one,) = item.sequences
        pairs = zip(one.ids, one.supervised, strict=True)
        return {
            "input_ids": list(one.ids),
            "labels": [id if under else -100 for id, under in pairs],
        }

    _Trainer(
        **_common(task, pace, precision),
        train_dataset=task.rows(columns),
        data_collator=DataCollatorForSeq2Seq(task.tokenizer),
        args=TrainingArguments(**_settings(task, precision)),
    ).train()


def trl(task: Task, pace: Pace, precision: Precision) -> None:
    """Its SFTTrainer; without recomputing activations, which is its default and slower."""
    from trl.trainer.sft_config import SFTConfig  # noqa: PLC0415 - slow to import, and
    from trl.trainer.sft_trainer import SFTTrainer  # noqa: PLC0415 - no use to the others

    class OrderedTrainer(InOrder, SFTTrainer):
        pass

    def columns(item: Item) -> dict[str, list[int]]:
        (one,) = item.sequences
        return {
            "input_ids": list(one.ids),
            "completion_mask": [int(under) for under in one.supervised],
        }

    settings = {
        **_settings(task, precision),
        "completion_only_loss": True,
        "max_length": None,
        "gradient_checkpointing": False,
    }
    OrderedTrainer(
        **_common(task, pace, precision),
        train_dataset=task.rows(columns),
        args=SFTConfig(**settings),
    ).train()


def _common(task: Task, pace: Pace, precision: Precision) -> dict[str, Any]:
    """The job's own LoRA, optimiser and learning rates."""
    spec = task.spec
    torch.manual_seed(spec.seed)
    base = AutoModelForCausalLM.from_pretrained(spec.base_model_path, dtype=precision.dtype)
    rank, alpha = spec.lora.rank, int(spec.lora.alpha)
    lora = LoraConfig("CAUSAL_LM", r=rank, lora_alpha=alpha, target_modules="all-linear")
    model: PeftModel = get_peft_model(base, lora)
    peak, steps = peak_learning_rate(base.config, 1.0), len(task.batches)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1.0, weight_decay=0.0, fused=True)
    return {
        "model": model,
        "processing_class": task.tokenizer,
        "optimizers": (optimizer, LambdaLR(optimizer, lambda i: learning_rate(i, steps, peak))),
        "callbacks": [Paced(task, pace)],
    }


def _settings(task: Task, precision: Precision) -> dict[str, Any]:
    return {
        "output_dir": f"{task.spec.output_dir}-{os.getpid()}",
        "per_device_train_batch_size": task.spec.batch_size,
        "num_train_epochs": 1,
        "seed": task.spec.seed,
        "bf16": precision.dtype == torch.bfloat16,
        "use_cpu": True,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


Run: TypeAlias = Callable[[Task, Pace, Precision], None]
TRAINERS: Mapping[str, Run] = {"tunery": tunery, "transformers": transformers, "trl": trl}


def main(name: str, folder: Path) -> None:
    """Run one trainer until its standard input ends."""
    spec = TrainingSpec.model_validate_json((folder / "spec.json").read_bytes())
    torch.set_num_threads(spec.threads)
    precision, base = Precision.here(), read_shape(Path(spec.base_model_path))
    if base is None:
        raise ValueError("the base model's sizes cannot be read")
    pace = Pace(sys.stdin, claim_stdout(), base.parameters * precision.dtype.itemsize)
    TRAINERS[name](Task(spec), pace, precision)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
