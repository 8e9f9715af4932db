"""Checkpoints of a job: complete or not there, and nothing in them that could run code.

``checkpoints/step-N`` is written at the end of an epoch, ``checkpoints/recovery-N`` in between;
of the latter only the newest is kept. ``complete.json`` is written last and holds the hash of
every other file, so a folder that a crash or a full disk left behind is never resumed from.

The order of the data, the learning rate and the random numbers of a step are functions of its
number, so weights, optimiser state and that number are all there is to keep.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import load_file, save_file
from torch.optim import Optimizer

from tunery_adapters.training.export import read_adapter, write_adapter

ADAPTER = "adapter"
_COMPLETE = "complete.json"
_STATE = "state.json"
_TENSORS = "optimizer.safetensors"
_TEMPORARY = ".tmp-"
_EPOCH = "step-"
_RECOVERY = "recovery-"

_log = logging.getLogger(__name__)


class State(BaseModel):
    """What a job knows after ``step`` optimiser steps, beside its tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str
    """Fingerprint of spec and data: a checkpoint is resumed only by the job that wrote it."""
    step: int = 0
    ends_epoch: bool = False
    """Whether the evaluation due after this step was made, so that the epoch is closed."""
    dtype: str
    train_loss: float = 0.0
    train_mean_token_accuracy: float = 0.0
    valid_loss: float | None = None
    valid_mean_token_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A complete checkpoint on disk."""

    folder: Path
    state: State


class Checkpoints:
    """The checkpoints of one job, under ``output_dir/checkpoints``."""

    def __init__(self, output_dir: Path) -> None:
        self._root = output_dir / "checkpoints"

    def write(self, state: State, model: PeftModel, optimizer: Optimizer) -> Found:
        """Write a checkpoint, then remove the recovery checkpoints that it supersedes."""
        folder = self.folder(state)
        staged = self._root / f"{_TEMPORARY}{folder.name}"
        shutil.rmtree(staged, ignore_errors=True)
        write_adapter(model, staged / ADAPTER)
        save_file(_tensors(optimizer), staged / _TENSORS)
        (staged / _STATE).write_text(state.model_dump_json())
        settle(staged, folder)
        self._prune(folder)
        return Found(folder, state)

    def folder(self, state: State) -> Path:
        """Return where the checkpoint of this state lies, or would."""
        return self._root / f"{_EPOCH if state.ends_epoch else _RECOVERY}{state.step}"

    def newest(self, job: str) -> Found | None:
        """Return the newest complete checkpoint of this job; damaged ones are passed over."""
        found = (self._read(folder, job) for folder in self._folders())
        return max(
            (checkpoint for checkpoint in found if checkpoint),
            key=lambda checkpoint: (checkpoint.state.step, checkpoint.state.ends_epoch),
            default=None,
        )

    def restore(self, found: Found, model: PeftModel, optimizer: Optimizer) -> None:
        """Put a checkpoint's weights and optimiser state back."""
        read_adapter(model, found.folder / ADAPTER)
        tensors = load_file(found.folder / _TENSORS)
        optimizer.load_state_dict(_optimizer_state(optimizer, tensors))

    def _read(self, folder: Path, job: str) -> Found | None:
        try:
            check(folder)
            state = State.model_validate_json((folder / _STATE).read_bytes())
        except (OSError, ValueError, ValidationError) as error:
            _log.warning("checkpoint %s is damaged and passed over: %s", folder.name, error)
            return None
        return Found(folder, state) if state.job == job else None

    def _folders(self) -> Iterator[Path]:
        if self._root.is_dir():
            yield from (f for f in self._root.iterdir() if not f.name.startswith(_TEMPORARY))

    def _prune(self, kept: Path) -> None:
        for folder in self._folders():
            if folder.name.startswith(_RECOVERY) and folder != kept:
                shutil.rmtree(folder)


def settle(staged: Path, folder: Path) -> None:
    """Write the hashes of all files into ``staged``, then move it to ``folder``."""
    files = {str(file.relative_to(staged)): _sha256(file) for file in _files(staged)}
    (staged / _COMPLETE).write_text(json.dumps(files, sort_keys=True))
    move_synced(staged, folder)


def move_synced(staged: Path, folder: Path) -> None:
    """Sync everything in ``staged`` and rename it to ``folder``, replacing what is there."""
    for path in (*staged.rglob("*"), staged):
        _sync(path)
    shutil.rmtree(folder, ignore_errors=True)
    staged.rename(folder)
    _sync(folder.parent)


def check(folder: Path) -> None:
    """Raise OSError or ValueError unless every file of a sealed folder is as it was written."""
    expected: dict[str, str] = json.loads((folder / _COMPLETE).read_bytes())
    for name, digest in expected.items():
        if _sha256(folder / name) != digest:
            raise ValueError(f"{name} has changed")


def _tensors(optimizer: Optimizer) -> dict[str, torch.Tensor]:
    """Flatten the optimiser's state to ``<parameter>.<key>``."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{key}": torch.as_tensor(value).detach().to("cpu").contiguous()
        for index, entry in state.items()
        for key, value in entry.items()
    }


def _optimizer_state(optimizer: Optimizer, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    state: dict[int, dict[str, torch.Tensor | int]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = _number(tensor)
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}


def _number(tensor: torch.Tensor) -> torch.Tensor | int:
    # bitsandbytes counts its steps in a plain int, torch in a float tensor.
    return int(tensor.item()) if tensor.dtype == torch.int64 and not tensor.ndim else tensor


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
