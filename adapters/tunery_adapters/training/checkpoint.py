"""Checkpoints of a job: complete or not there, and nothing in them that could run code.

``checkpoints/step-N`` is written at the end of an epoch and stays. ``checkpoints/recovery-N`` is
written in between; of these there stay the newest, so that there are always two checkpoints to go
on from once there were two, and those with the adapter that is the best so far.

The order of the data, the learning rate and the random numbers of a step are functions of its
number, so weights, optimiser state and what :class:`State` holds are all there is to keep.
"""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from peft import PeftModel
from pydantic import ConfigDict, ValidationError
from safetensors.torch import load_file, save_file
from torch.optim import Optimizer

from tunery_adapters import fault
from tunery_adapters.fault import Point
from tunery_adapters.reports import Spent, TrainingMetrics, ValidationMetrics
from tunery_adapters.training.export import read_adapter, write_adapter
from tunery_adapters.training.sealed import DamagedError, check, settle

ADAPTER = "adapter"
_STATE = "state.json"
_TENSORS = "optimizer.safetensors"
_TEMPORARY = ".tmp-"
_EPOCH = "step-"
_RECOVERY = "recovery-"
_KEPT = 2

_log = logging.getLogger(__name__)

OnDamage: TypeAlias = Callable[[str, str], None]
"""Is told the name of a damaged checkpoint, and what is wrong with it."""


class State(TrainingMetrics, ValidationMetrics, Spent):
    """What a job knows after ``step`` optimiser steps, beside its tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str
    """Fingerprint of spec and data: a checkpoint is resumed only by the job that wrote it."""
    step: int = 0
    ends_epoch: bool = False
    """Whether the evaluation due after this step was made, so that the epoch is closed."""
    dtype: str
    train_loss: float = 0.0
    evaluated: bool = False
    """Whether this step was evaluated."""
    best_step: int | None = None
    """The step with the lowest validation loss so far ..."""
    best_valid_loss: float | None = None
    """... and that loss."""
    stale_evaluations: int = 0
    """Evaluations since the last one that was an improvement."""


@dataclass(frozen=True, slots=True)
class Found:
    """A complete checkpoint on disk."""

    folder: Path
    state: State


class Checkpoints:
    """The checkpoints of one job, under ``output_dir/checkpoints``."""

    def __init__(self, output_dir: Path, on_damage: OnDamage) -> None:
        self._root = output_dir / "checkpoints"
        self._on_damage = on_damage

    def write(self, state: State, model: PeftModel, optimizer: Optimizer) -> Found:
        """Write a checkpoint, then remove the recovery checkpoints that it supersedes."""
        folder = self._folder(state)
        staged = self._root / f"{_TEMPORARY}{folder.name}"
        shutil.rmtree(staged, ignore_errors=True)
        write_adapter(model, staged / ADAPTER)
        save_file(_tensors(optimizer), staged / _TENSORS)
        (staged / _STATE).write_text(state.model_dump_json())
        fault.point(Point.CKPT_TMP_WRITTEN)
        settle(staged, folder)
        fault.point(Point.CKPT_RENAMED)
        self._prune()
        return Found(folder, state)

    def newest(self, job: str) -> Found | None:
        """Return the newest complete checkpoint of this job; damaged ones are removed."""
        found = (self._read(folder) for folder in self._folders())
        return next((known for known in found if known and known.state.job == job), None)

    def of_step(self, job: str, step: int) -> Found | None:
        """Return the complete checkpoint of one step; a damaged one is removed."""
        found = (self._read(folder) for folder in self._folders() if _step(folder) == step)
        return next((known for known in found if known and known.state.job == job), None)

    def restore(self, found: Found, model: PeftModel, optimizer: Optimizer) -> None:
        """Put a checkpoint's weights and optimiser state back."""
        read_adapter(model, found.folder / ADAPTER)
        tensors = load_file(found.folder / _TENSORS)
        optimizer.load_state_dict(_optimizer_state(optimizer, tensors))

    def _folder(self, state: State) -> Path:
        return self._root / f"{_EPOCH if state.ends_epoch else _RECOVERY}{state.step}"

    def _read(self, folder: Path) -> Found | None:
        try:
            check(folder)
            return Found(folder, _state(folder))
        except DamagedError as damage:
            _log.warning("checkpoint %s is damaged: %s", folder.name, damage)
            shutil.rmtree(folder, ignore_errors=True)
            self._on_damage(folder.name, str(damage))
            return None

    def _folders(self) -> list[Path]:
        """All, newest first; the end of an epoch comes after the last step in it."""
        known = [*self._root.glob(f"{_EPOCH}*"), *self._root.glob(f"{_RECOVERY}*")]
        return sorted(known, key=lambda path: (_step(path), path.name), reverse=True)

    def _prune(self) -> None:
        folders = self._folders()
        best = {_best_step(folder) for folder in folders[:_KEPT]}
        for folder in folders[_KEPT:]:
            if folder.name.startswith(_RECOVERY) and _step(folder) not in best:
                shutil.rmtree(folder)


def _step(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def _state(folder: Path) -> State:
    try:
        return State.model_validate_json((folder / _STATE).read_bytes())
    except (OSError, ValidationError) as error:
        raise DamagedError(f"{_STATE} cannot be read") from error


def _best_step(folder: Path) -> int | None:
    try:
        return _state(folder).best_step
    except DamagedError:
        return None


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
