"""How fast jobs train: as earlier ones did, or by arithmetic where there were none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from tunery_adapters.base_model import BaseShape
from tunery_adapters.footprint import Device, flops_a_token
from tunery_adapters.spec import LoraSpec
from tunery_server.jobs.hardware import Hardware
from tunery_server.records.rows import Job

MEAN_RATE = "mean_tokens_per_s"
"""In the progress of a job that has ended well."""

_FLOPS_A_SECOND: Mapping[Device, float] = {"cpu": 25e9, "cuda": 60e12}
"""Of a CPU thread, by benchmarks/training_memory.py; of a GPU, a guess at a recent large one."""

_SPREAD: Mapping[Device, float] = {"cpu": 3.0, "cuda": 5.0}
"""Machines differ: a computed time may be so many times too long or too short."""

_SPREAD_MEASURED = 1.3
_START_S = 15.0
_LOOKED_AT = 5


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long a job takes once a worker has it, and between what it may well lie."""

    expected: float
    low: float
    high: float
    basis: Literal["measured", "computed"]
    jobs: int
    """Of which the speed was measured."""


def measured(job: Job, earlier: Sequence[Job], tokens: float) -> Seconds | None:
    """By the newest of the ``earlier`` jobs that trained alike; None if there are none."""
    alike = [other for other in earlier if _likeness(other) == _likeness(job)][:_LOOKED_AT]
    rates = [other.progress[MEAN_RATE] for other in alike if other.progress]
    if not rates:
        return None
    start = median(_start_s(other) for other in alike)
    return Seconds(
        expected=start + tokens / median(rates),
        low=(start + tokens / max(rates)) / _SPREAD_MEASURED,
        high=(start + tokens / min(rates)) * _SPREAD_MEASURED,
        basis="measured",
        jobs=len(rates),
    )


def computed(
    base: BaseShape, hardware: Hardware, lora: LoraSpec, tokens: float, length: float
) -> Seconds:
    """By the numbers that have to be multiplied for sequences of a mean ``length`` in tokens."""
    rate = _FLOPS_A_SECOND[hardware.device]
    rate *= hardware.threads if hardware.device == "cpu" else 1
    training = tokens * flops_a_token(base, lora, length) / rate
    spread = _SPREAD[hardware.device]
    return Seconds(
        expected=_START_S + training,
        low=(_START_S + training) / spread,
        high=(_START_S + training) * spread,
        basis="computed",
        jobs=0,
    )


def has_rate(job: Job) -> bool:
    """Whether the job's speed is known."""
    return bool(job.progress and job.progress.get(MEAN_RATE))


def _likeness(job: Job) -> tuple[object, ...]:
    """What decides the speed beside the tokens, roughly: a rank costs little."""
    return job.model, job.method, job.lora.get("quantization"), bool(job.lora.get("dropout"))


def _start_s(job: Job) -> float:
    """From the claim to the first step."""
    began = (job.timings or {}).get("training_started_at")
    return max(0.0, began - job.started_at) if began and job.started_at else _START_S
