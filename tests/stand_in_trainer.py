"""A stand-in for the trainer's process: a script of the test's own under the trainer's name.

It injects faults that a real trainer shows only by accident: an odd line, an exit status, a signal.
"""

import textwrap
from pathlib import Path

import pytest

_BEGINNING = """
import json, os, pathlib, signal, sys, time

spec = json.loads(pathlib.Path(sys.argv[1]).read_text())
folder = pathlib.Path(spec["output_dir"])

def say(type, **values):
    print(json.dumps({"type": type, **values}), flush=True)

def step(number, total=2):
    say("step", step=number, total_steps=total, epoch=number / total, train_loss=1.0 / number,
        train_mean_token_accuracy=0.5, learning_rate=1e-4, tokens=10, trained_tokens=10 * number,
        tokens_per_s=5.0, seconds_left=2.0 * (total - number), training_s=2.0 * number)

def checkpoint(number):
    say("checkpoint", step=number, adapter_path=str(folder / "adapter"), train_loss=1.0 / number,
        train_mean_token_accuracy=0.5)

def finished(number):
    say("finished", step=number, adapter_path=str(folder / "adapter"), trained_tokens=20,
        last_step_at=1000.0, training_s=5.0)
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Make ``python -m tunery_adapters.training`` run ``script`` in child processes."""
    package = folder / "tunery_adapters"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / "training.py").write_text(_BEGINNING + textwrap.dedent(script))
    monkeypatch.setenv("PYTHONPATH", str(folder))
