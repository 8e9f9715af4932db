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


class Recipe(TypedDict, total=False):
    """How to train; what is left out is ``"auto"``, or the server's to choose."""

    suffix: str | None
    n_epochs: int | Literal["auto"]
    batch_size: int | Literal["auto"]
    learning_rate_multiplier: float | Literal["auto"]
    seed: int | None
    lora: LoraOptions | None


def job_body(
    *,
    suffix: str | None = None,
    n_epochs: int | Literal["auto"] = "auto",
    batch_size: int | Literal["auto"] = "auto",
    learning_rate_multiplier: float | Literal["auto"] = "auto",
    seed: int | None = None,
    lora: LoraOptions | None = None,
) -> dict[str, Any]:
    """Arguments of ``fine_tuning.jobs.create`` for a recipe, all but its model and files."""
    hyperparameters = {
        "n_epochs": n_epochs,
        "batch_size": batch_size,
        "learning_rate_multiplier": learning_rate_multiplier,
    }
    body: dict[str, Any] = {
        "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}
    }
    if suffix is not None:
        body["suffix"] = suffix
    if seed is not None:
        body["seed"] = seed
    if lora is not None:
        body["extra_body"] = {"lora": lora}
    return body


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
