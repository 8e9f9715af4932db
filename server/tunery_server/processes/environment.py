"""What a process that runs the training libraries is told, and nothing else: no secret."""

import os

from tunery_adapters import fault

_PASSED_ON = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "CUDA_VISIBLE_DEVICES"),
    # Where the engine has put a base model that came from a hub.
    *("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE"),
    fault.VARIABLE,
)


def for_training(threads: int) -> dict[str, str]:
    """The environment of a process that may use so many threads, and no network."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {
        **kept,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        # A waiting OpenMP thread spins for microseconds, then sleeps: the core is the engine's.
        # Sleeping at once costs small batches more than a third of their speed on two threads.
        "GOMP_SPINCOUNT": "20000",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONUNBUFFERED": "1",
    }
