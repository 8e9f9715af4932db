"""What this client raises beyond the openai client's own errors.

::

    openai.OpenAIError
    └── TuneryError
        ├── MissingKeyError       no key was found
        ├── StreamInterrupted     a stream ended before its end mark
        └── FineTuneError         a fine-tune brought no model
            ├── FineTuneFailed
            ├── FineTuneCancelled
            └── FineTuneTimeout   the wait ended, the job goes on
"""

from openai import OpenAIError
from openai.types.fine_tuning import FineTuningJob


class TuneryError(OpenAIError):
    """Root of this client's errors."""


class MissingKeyError(TuneryError):
    """No key was given and none was found; the message says where it was looked for."""


class StreamInterrupted(TuneryError):
    """The server closed a stream before ``[DONE]``: the answer so far is not whole."""


class FineTuneError(TuneryError):
    """A fine-tune ended, or was no longer waited for, without a model."""

    def __init__(self, job: FineTuningJob, message: str) -> None:
        super().__init__(message)
        self.job = job
        self.message = message


class FineTuneFailed(FineTuneError):
    """The job failed. ``code``, ``message`` and ``param`` are the server's."""

    def __init__(self, job: FineTuningJob) -> None:
        message = job.error.message if job.error else "the server gave no reason"
        super().__init__(job, message)
        self.code = job.error.code if job.error else None
        self.param = job.error.param if job.error else None

    def __str__(self) -> str:
        return f"fine-tuning job {self.job.id} failed ({self.code}): {self.message}"


class FineTuneCancelled(FineTuneError):
    """Somebody cancelled the job."""

    def __init__(self, job: FineTuningJob) -> None:
        super().__init__(job, f"fine-tuning job {job.id} was cancelled")


class FineTuneTimeout(FineTuneError, TimeoutError):
    """The job did not end within ``timeout_s``. It goes on; ``wait(job.id)`` waits again."""

    def __init__(self, job: FineTuningJob, timeout_s: float) -> None:
        message = (
            f"fine-tuning job {job.id} is still {job.status} after {timeout_s:g} s; it goes on"
        )
        super().__init__(job, message)
        self.timeout_s = timeout_s
