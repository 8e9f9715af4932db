"""What share of the multiplications that one thread can do a job does.

Counted are four for each weight of the frozen base and token, two forward and two for the gradient
that passes through; of the output head at the tokens under the loss alone. Nothing is counted for
the LoRA, for attention, or for the optimiser. The peak is a large matrix product in the numbers
that the job computes in, on one thread, between its steps.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.benchmark import Benchmark, Claim, Figures, Load
from benchmarks.fine_tune import write_job
from benchmarks.paced import Paced, paced
from tunery_adapters.base_model import BaseShape, read_shape
from tunery_server.config import BUNDLED_MODEL, default_home

_SIZE = 1024
_PEAK_S = 2.0
_GIGA = 1e9


def _train(trainer: Paced, base: BaseShape) -> Figures:
    taken = trainer.take(1)
    through = sum(linear.inputs * linear.outputs for linear in base.linears) * taken["tokens"]
    head = base.vocabulary * base.hidden * taken["trained_tokens"]
    return {"tunery": 4 * (through + head) / taken["cpu_s"] / _GIGA}


def _multiply() -> Figures:
    """The best of what was seen."""
    import torch  # noqa: PLC0415 - slow to import, and other benchmarks have no use for it

    from tunery_adapters.training.model import Precision  # noqa: PLC0415

    torch.set_num_threads(1)
    left, right = (torch.randn(_SIZE, _SIZE, dtype=Precision.here().dtype) for _ in range(2))
    started, least = time.process_time(), float("inf")
    while time.process_time() - started < _PEAK_S:
        began = time.process_time()
        torch.mm(left, right)
        least = min(least, time.process_time() - began)
    return {"matrix product": 2 * _SIZE**3 / least / _GIGA}


@contextmanager
def _open() -> Iterator[Sequence[Load]]:
    base = read_shape(default_home() / "models" / BUNDLED_MODEL)
    if base is None:
        raise ValueError("the base model's sizes cannot be read")
    with (
        tempfile.TemporaryDirectory() as folder,
        paced("tunery", write_job(Path(folder), rows=512)) as trainer,
    ):
        yield [partial(_train, trainer, base), _multiply]


BENCHMARK = Benchmark(
    id="T2",
    title="How much of a thread's arithmetic a job uses",
    load="the bundled model, one thread, rows as in T1",
    claims=(
        Claim(
            id="T2",
            says="multiplications and additions a second of a job, against the thread's peak",
            unit="GFLOP/s",
            numerator="tunery",
            denominator="matrix product",
            bar=0.55,
            moonshot=0.7,
            more_is_better=True,
        ),
    ),
    open=_open,
)
