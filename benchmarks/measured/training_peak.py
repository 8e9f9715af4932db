"""How much memory a job takes above its base model, against transformers' Trainer with PEFT.

Each takes two optimiser steps on four rows of 512 tokens, in a process of its own for every round.
Counted is the highest resident set, without what it was when all libraries were imported, and
without the base's weights.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.benchmark import Benchmark, Claim, Figures, Load
from benchmarks.fine_tune import write_job
from benchmarks.paced import paced

_STEPS, _BATCH, _LENGTH = 2, 4, 512
_MEBIBYTE = 2**20


def _peak(name: str, job: Path) -> Figures:
    with paced(name, job) as trainer:
        return {name: trainer.take(_STEPS)["peak_bytes"] / _MEBIBYTE}


@contextmanager
def _open() -> Iterator[Sequence[Load]]:
    with tempfile.TemporaryDirectory() as folder:
        rows = (_STEPS + 1) * _BATCH  # the end of a job is none of what is compared
        job = write_job(Path(folder), rows=rows, batch_size=_BATCH, length=_LENGTH)
        yield [partial(_peak, name, job) for name in ("tunery", "transformers")]


BENCHMARK = Benchmark(
    id="T3",
    title="How much memory a job takes",
    load="the bundled model, one thread, batches of 4 rows of 512 tokens",
    claims=(
        Claim(
            id="T3",
            says="peak memory of a job above its base model, against transformers' Trainer",
            unit="MiB",
            numerator="tunery",
            denominator="transformers",
            bar=0.5,
            moonshot=0.3,
        ),
    ),
    open=_open,
    rounds=3,
    warm_ups=0,
)
