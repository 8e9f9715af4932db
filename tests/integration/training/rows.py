"""Training rows, specs for them, and what a run of the trainer says."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import torch

from tunery_adapters.reports import REPORT, AnyReport, Step
from tunery_adapters.spec import LoraSpec, TrainingSpec
from tunery_adapters.training import job
from tunery_adapters.training.loop import Clock
from tunery_adapters.training.meter import Counter
from tunery_adapters.training.model import Precision

SYSTEM = "You answer in one word."
EXACT = Precision(torch.device("cpu"), torch.float32)
QUEUES = ("billing", "shipping", "technical", "account")


def row(number: int) -> dict[str, Any]:
    question = f"Ticket {number}: " + "please look at it " * (number % 5 + 1)
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": question},
            {"role": "assistant", "content": QUEUES[number % len(QUEUES)]},
        ]
    }


def pair(number: int) -> dict[str, Any]:
    messages = row(number)["messages"]
    return {
        "input": {"messages": messages[:-1]},
        "preferred_output": [messages[-1]],
        "non_preferred_output": [{"role": "assistant", "content": f"It may be {number}, or so."}],
    }


def write_rows(file: Path, rows: list[Any]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def make_spec(folder: Path, base_model: Path, **changes: Any) -> TrainingSpec:
    fields: dict[str, Any] = {
        "job_id": "ftjob-test",
        "base_model_path": str(base_model),
        "training_file": str(write_rows(folder / "training.jsonl", [row(i) for i in range(10)])),
        "output_dir": str(folder / "output"),
        "n_epochs": 2,
        "batch_size": 4,
        "learning_rate_multiplier": 1.0,
        "seed": 7,
        "lora": LoraSpec(rank=8, dropout=0.1),
        "max_length": 256,
        "threads": 2,
    }
    return TrainingSpec(**{**fields, **changes})


def weights_of(output_dir: str | Path) -> bytes:
    return (Path(output_dir) / "adapter" / "adapter_model.safetensors").read_bytes()


def run_job(
    spec: TrainingSpec,
    until: Callable[[AnyReport], bool] | None = None,
    clock: Clock | None = None,
    precision: Precision | None = None,
    energy: Counter | None = None,
) -> list[AnyReport]:
    """Run a job; ask it to stop once ``until`` is true of a report."""
    said: list[AnyReport] = []
    stop = Event()

    def report(report: AnyReport) -> None:
        said.append(report)
        if until and until(report):
            stop.set()

    job.run(spec, report, stop, clock or Clock(), precision, energy)
    return said


def at_step(step: int) -> Callable[[AnyReport], bool]:
    return lambda report: isinstance(report, Step) and report.step == step


@dataclass
class TrainerProcess:
    """The real trainer, run as a worker runs it; ``reports`` yields what it says."""

    spec: TrainingSpec
    seen: list[AnyReport] = field(default_factory=list)

    def __enter__(self) -> "TrainerProcess":
        file = Path(self.spec.output_dir).with_suffix(".json")
        file.write_text(self.spec.model_dump_json())
        command = [sys.executable, "-m", "tunery_adapters.training", str(file)]
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def reports(self) -> Iterator[AnyReport]:
        assert self.process.stdout
        for line in self.process.stdout:
            self.seen.append(REPORT.validate_json(line))
            yield self.seen[-1]

    def run(self) -> int:
        for _ in self.reports():
            pass
        return self.process.wait()

    def signal_at_step(self, step: int, number: signal.Signals) -> int:
        for report in self.reports():
            if report.type == "step" and report.step == step:
                self.process.send_signal(number)
        return self.process.wait()
