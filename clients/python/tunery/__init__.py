"""Client of a Tunery server: the openai client, plus fine-tuning in one call.

::

    from tunery import Tunery

    client = Tunery()
    model = client.fine_tune("train.jsonl", n_epochs=3)
    client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}])

``client.fine_tune`` uploads, submits, waits and returns the new model's name; ``client.adapters``
lists what was trained, and ``client.aliases`` gives it names that stay; everything else is
``openai.OpenAI``. ``AsyncTunery`` is the same to await. The names below are all there is; they are
imported at first use, for the openai package takes a second to load and the ``tunery`` command
should not.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._adapters import Adapter
    from ._aliases import Alias
    from ._client import AsyncTunery, Tunery
    from ._errors import (
        FineTuneCancelled,
        FineTuneError,
        FineTuneFailed,
        FineTuneTimeout,
        MissingKeyError,
        StreamInterrupted,
        TuneryError,
    )
    from ._estimates import JobEstimate, JobPreview
    from ._fine_tune import EarlyStoppingOptions, LoraOptions, Recipe
    from ._follow import JobUpdate
    from ._job_events import JobEvent, JobMetrics
    from ._patience import Patience

__all__ = [
    "Adapter",
    "Alias",
    "AsyncTunery",
    "EarlyStoppingOptions",
    "FineTuneCancelled",
    "FineTuneError",
    "FineTuneFailed",
    "FineTuneTimeout",
    "JobEstimate",
    "JobEvent",
    "JobMetrics",
    "JobPreview",
    "JobUpdate",
    "LoraOptions",
    "MissingKeyError",
    "Patience",
    "Recipe",
    "StreamInterrupted",
    "Tunery",
    "TuneryError",
]

_HOME = {
    "Adapter": "_adapters",
    "Alias": "_aliases",
    "AsyncTunery": "_client",
    "EarlyStoppingOptions": "_fine_tune",
    "JobEstimate": "_estimates",
    "JobEvent": "_job_events",
    "JobMetrics": "_job_events",
    "JobPreview": "_estimates",
    "JobUpdate": "_follow",
    "LoraOptions": "_fine_tune",
    "Patience": "_patience",
    "Recipe": "_fine_tune",
    "Tunery": "_client",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f".{_HOME.get(name, '_errors')}", __name__)
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
