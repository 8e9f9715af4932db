"""Why a job fails, and how any exception becomes the last report.

TrainingError
├── InvalidFileError     a row of a data file cannot be trained on
├── InvalidModelError    the base model cannot be trained by this trainer, or not with this LoRA
└── DivergedError        the loss is no longer a number
"""

import errno

from tunery_adapters.reports import Failed
from tunery_adapters.spec import TrainingSpec

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_DISK_FULL_TEXT = "No space left on device"
_MEMORY_TEXTS = ("out of memory", "can't allocate memory", "not enough memory")
"""How torch's CPU and CUDA allocators word it when they raise a plain RuntimeError."""


class TrainingError(Exception):
    """A fault with a message for the user, free of this machine's paths."""

    code = "trainer_error"

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidFileError(TrainingError):
    """A data file cannot be trained on; ``param`` is the job's field that names the file."""

    code = "invalid_file"


class InvalidModelError(TrainingError):
    """The base model, or its pairing with the LoRA asked for, cannot be trained."""

    code = "invalid_model"


class DivergedError(TrainingError):
    """The loss or its gradient is not finite."""


def as_report(error: BaseException, spec: TrainingSpec) -> Failed:
    """Turn what ended a job into its last report. What is not foreseen is named by type only."""
    if isinstance(error, TrainingError):
        return Failed(code=error.code, message=error.message, param=error.param)
    if _is_out_of_memory(error):
        return Failed(code="out_of_memory", message=_memory_message(spec))
    if _is_disk_full(error):
        return Failed(code="storage_full", message="No space is left to save the adapter.")
    message = f"The trainer failed unexpectedly ({type(error).__name__}); see the server's log."
    return Failed(code="trainer_error", message=message)


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in _MEMORY_TEXTS)
    )


def _is_disk_full(error: BaseException) -> bool:
    number = error.errno if isinstance(error, OSError) else None
    return number in _DISK_FULL or _DISK_FULL_TEXT in str(error)


def _memory_message(spec: TrainingSpec) -> str:
    return (
        f"Memory ran out with a batch of {spec.batch_size} and examples of up to "
        f"{spec.max_length} tokens. Shorten the longest examples, or use nf4 quantization."
    )
