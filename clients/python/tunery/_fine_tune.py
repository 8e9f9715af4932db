"""A fine-tune as one request: which files, which recipe, and what its end means."""

import errno
import os
from pathlib import Path
from typing import Any, Literal, TypedDict

from openai.types.fine_tuning import FineTuningJob

from ._errors import FineTuneCancelled, FineTuneError, FineTuneFailed

FilePath = str | os.PathLike[str]

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})
"""Statuses after which a job changes no more."""


class LoraOptions(TypedDict, total=False):
    """Shape of the adapter, in PEFT's words; what is left out is the server's to choose."""

    rank: int
    alpha: float
    dropout: float
    target_modules: Literal["all-linear"] | list[str]
    quantization: Literal["none", "nf4"]
    """``nf4`` trains over a base held in 4 bits (QLoRA)."""


class EarlyStoppingOptions(TypedDict, total=False):
    """When to end before the last step; what is left out is the server's to choose."""

    patience: int
    """Evaluations in a row that may pass without an improvement."""
    min_delta: float
    """An improvement lowers the best validation loss so far by more than this."""


class Recipe(TypedDict, total=False):
    """How to train; what is left out is ``"auto"``, or the server's to choose."""

    suffix: str | None
    method: Literal["supervised", "dpo"]
    """``dpo`` learns from pairs of answers, of which one is preferred."""
    beta: float | Literal["auto"]
    """For ``dpo``: how strongly the model is tied to what it was."""
    n_epochs: int | Literal["auto"]
    batch_size: int | Literal["auto"]
    learning_rate_multiplier: float | Literal["auto"]
    seed: int | None
    lora: LoraOptions | None
    eval_every: int | None
    """Steps between looks at the validation file; it is looked at after each epoch anyway."""
    early_stopping: EarlyStoppingOptions | None
    keep: Literal["best", "last"] | None
    """``best``: the adapter of the lowest validation loss, not that of the last step."""


def job_body(
    *,
    suffix: str | None = None,
    method: Literal["supervised", "dpo"] = "supervised",
    beta: float | Literal["auto"] = "auto",
    n_epochs: int | Literal["auto"] = "auto",
    batch_size: int | Literal["auto"] = "auto",
    learning_rate_multiplier: float | Literal["auto"] = "auto",
    seed: int | None = None,
    lora: LoraOptions | None = None,
    eval_every: int | None = None,
    early_stopping: EarlyStoppingOptions | None = None,
    keep: Literal["best", "last"] | None = None,
) -> dict[str, Any]:
    """Arguments of ``fine_tuning.jobs.create`` for a recipe, all but its model and files."""
    hyperparameters: dict[str, Any] = {
        "n_epochs": n_epochs,
        "batch_size": batch_size,
        "learning_rate_multiplier": learning_rate_multiplier,
    }
    if method == "dpo" or beta != "auto":
        hyperparameters["beta"] = beta
    training = _given(eval_every=eval_every, early_stopping=early_stopping, keep=keep)
    ours = _given(lora=lora, training=training or None)
    return {
        "method": {"type": method, method: {"hyperparameters": hyperparameters}},
        **_given(suffix=suffix, seed=seed, extra_body=ours or None),
    }


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def source(file: FilePath) -> Path | str:
    """The path of a file to upload, or the id of one that the server has.

    Raises:
        FileNotFoundError: neither a file here nor the id of one.
    """
    path = Path(file)
    if path.is_file():
        return path
    if isinstance(file, str) and file.startswith("file-"):
        return file
    raise FileNotFoundError(errno.ENOENT, "no such file, nor an id of an uploaded one", str(file))


def model_of(job: FineTuningJob) -> str:
    """Name of the model that a finished job made. Raises FineTuneError if it made none."""
    if job.status == "failed":
        raise FineTuneFailed(job)
    if job.status == "cancelled":
        raise FineTuneCancelled(job)
    if job.fine_tuned_model is None:
        raise FineTuneError(job, f"fine-tuning job {job.id} is {job.status} and names no model")
    return job.fine_tuned_model
