"""How fast a job trains, against transformers' Trainer with PEFT, and TRL's, as they come.

All take the same optimiser steps on one thread: the same rows in the same batches, the same LoRA
from the same seed, learning rates and numbers (those that Tunery chooses on this machine). Speed is
tokens that are no padding by seconds of CPU time. That all learn the same is checked in every
round, by their losses.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.benchmark import Benchmark, Claim, Figures, Load
from benchmarks.fine_tune import write_job
from benchmarks.paced import Paced, paced

_STEPS = 1
"""Of a round, with eight rows."""
_ROUNDS, _WARM_UPS = 5, 1
_WITHIN = 5e-3
"""In nats. Two ways to compute the same loss of about six in bfloat16 are 1e-3 apart."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Of the steps of one trainer, to compare those of others with."""

    within: float
    """In nats, of the mean over a round."""
    of: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, losses: Sequence[float]) -> None:
        """Raises ValueError when another trainer had other ones at the same steps."""
        mine = self.of.setdefault(name, [])
        mine += losses
        for other, theirs in self.of.items():
            if len(theirs) == len(mine):
                difference = abs(sum(mine) - sum(theirs)) / len(mine)
                if difference > self.within:
                    raise ValueError(f"{name} and {other} learn apart: {mine} and {theirs}")


def _train(trainer: Paced, losses: Losses) -> Figures:
    taken = trainer.take(_STEPS)
    losses.add(trainer.name, taken["losses"])
    return {trainer.name: taken["tokens"] / taken["cpu_s"]}


@contextmanager
def _open() -> Iterator[Sequence[Load]]:
    with tempfile.TemporaryDirectory() as folder:
        job = write_job(Path(folder), rows=512)
        losses, trainers = Losses(_WITHIN), partial(paced, folder=job)
        with trainers("tunery") as ours, trainers("transformers") as plain, trainers("trl") as trl:
            yield [partial(_train, one, losses) for one in (ours, plain, trl)]


def _claim(id: str, peer: str, name: str, bar: float, moonshot: float) -> Claim:
    return Claim(
        id=id,
        says=f"tokens a second of a job, against {name}",
        unit="tokens/s",
        numerator="tunery",
        denominator=peer,
        bar=bar,
        moonshot=moonshot,
        more_is_better=True,
    )


BENCHMARK = Benchmark(
    id="T1",
    title="How fast a job trains",
    load="the bundled model, one thread, batches of 8 rows of log-normal length (median 120, at "
    "most 512 tokens), three fifths of each a prompt",
    claims=(
        _claim("T1", "transformers", "transformers' Trainer with PEFT", 2.0, 3.5),
        _claim("T1-trl", "trl", "TRL's SFTTrainer", 1.2, 1.5),
    ),
    open=_open,
    rounds=_ROUNDS,
    warm_ups=_WARM_UPS,
)
