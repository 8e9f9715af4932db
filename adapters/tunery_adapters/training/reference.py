"""The reference that preferences are learnt against: the model as the job found it.

Its log-ratios of all pairs are computed before the first step, in one fixed order, and kept beside
the checkpoints: a job that goes on learns against the same numbers.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from tunery_adapters.training.examples import Dataset, Item, Pair, Split
from tunery_adapters.training.sealed import DamagedError, check, settle
from tunery_adapters.training.steps import Between, Learner

FOLDER = "reference"
_FILE = "log_ratios.json"

Ratios: TypeAlias = dict[Split, list[float]]


class Reference:
    """The log-ratios of one job, under ``output_dir/reference``."""

    def __init__(self, output_dir: Path, job: str) -> None:
        self._folder = output_dir / FOLDER
        self._job = job

    def applied(
        self, datasets: Mapping[Split, Dataset], learner: Learner, between: Between
    ) -> dict[Split, Dataset]:
        """The datasets with the reference's log-ratio in every pair.

        The learner's model must be as the job found it. ``between`` runs before every pass.
        """
        ratios = self._read() or self._compute(datasets, learner, between)
        return {
            split: replace(dataset, examples=tuple(_with(dataset.examples, ratios[split])))
            for split, dataset in datasets.items()
        }

    def _compute(
        self, datasets: Mapping[Split, Dataset], learner: Learner, between: Between
    ) -> Ratios:
        ratios: Ratios = {}
        for split, dataset in datasets.items():
            found = dict(learner.log_ratios(dataset.examples, between))
            ratios[split] = [found[pair] for pair in dataset.examples]
        self._write(ratios)
        return ratios

    def _write(self, ratios: Ratios) -> None:
        staged = self._folder.with_name(f".tmp-{FOLDER}")
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        (staged / _FILE).write_text(json.dumps({"job": self._job, "ratios": ratios}))
        settle(staged, self._folder)

    def _read(self) -> Ratios | None:
        """What an earlier run computed; None if it did not, or the file is damaged."""
        with suppress(DamagedError):
            check(self._folder)
            kept = json.loads((self._folder / _FILE).read_bytes())
            if kept["job"] == self._job:
                ratios: Ratios = kept["ratios"]
                return ratios
        return None


def _with(pairs: tuple[Item, ...], ratios: list[float]) -> Iterator[Pair]:
    for pair, ratio in zip(pairs, ratios, strict=True):
        if isinstance(pair, Pair):
            yield replace(pair, reference=ratio)
