"""What a training takes is measured, and kept through a stop. Two seconds beside torch."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.integration.training.rows import at_step, make_spec
from tests.integration.training.rows import run_job as run
from tunery_adapters.reports import Finished, Step
from tunery_adapters.training.loop import Clock
from tunery_adapters.training.meter import Meter, energy_counter, nvml_counter

pytestmark = pytest.mark.training

UUID = "b2a5f1de-8f0e-4b0c-9a53-6c1f1d0e2a77"


class NvmlError(Exception):
    """As the library's."""


class Nvml:
    """NVML of a machine with one device, whose readings may fail."""

    NVMLError = NvmlError

    def __init__(self, *readings: int | None) -> None:
        self._readings = iter(readings)

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid != f"GPU-{UUID}":
            raise NvmlError
        return "handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        assert handle == "handle"
        reading = next(self._readings)
        if reading is None:
            raise NvmlError
        return reading


def ticking(step: float) -> Clock:
    ticks = itertools.count(0.0, step)
    return Clock(monotonic=lambda: next(ticks))


def test_a_lap_is_what_went_by_since_the_last_one() -> None:
    seconds, joules = iter((10.0, 12.0, 17.0)), iter((100.0, 150.0, 400.0))
    meter = Meter(lambda: next(seconds), lambda: next(joules))
    first, second = meter.lap(), meter.lap()
    assert (first.training_s, first.energy_j) == (2.0, 50.0)
    assert (second.training_s, second.energy_j) == (5.0, 250.0)


def test_a_reading_that_failed_is_not_made_up() -> None:
    joules: Iterator[float | None] = iter((100.0, None, 300.0, 350.0))
    meter = Meter(lambda: 0.0, lambda: next(joules))
    assert [meter.lap().energy_j for _ in range(3)] == [None, None, 50.0]


def test_millijoules_of_the_device_that_is_used_become_joules() -> None:
    read = nvml_counter(Nvml(5_000, None, 7_500), UUID)
    assert [read(), read(), read()] == [5.0, None, 7.5]


def test_a_device_without_a_counter_has_none() -> None:
    assert nvml_counter(Nvml(), "another")() is None
    assert energy_counter(torch.device("cpu"))() is None


def test_a_stopped_job_goes_on_with_what_it_had_taken(tmp_path: Path, tiny_model: Path) -> None:
    spec, joules = make_spec(tmp_path, tiny_model), itertools.count(0.0, 10.0)
    first = run(spec, at_step(4), ticking(1.0), energy=lambda: next(joules))
    second = run(spec, clock=ticking(1.0), energy=lambda: next(joules))
    steps = [report for report in (*first, *second) if isinstance(report, Step)]
    finished = second[-1]
    assert isinstance(finished, Finished)
    told = [
        (report.trained_tokens, report.training_s, report.energy_j) for report in (*steps, finished)
    ]
    assert told == sorted(told)  # type: ignore[type-var]
    assert len({step.trained_tokens for step in steps}) == len(steps)
    assert finished.trained_tokens == steps[-1].trained_tokens
    assert steps[0].energy_j == 10.0
    (tmp_path / "again").mkdir()
    undisturbed = run(make_spec(tmp_path / "again", tiny_model))[-1]
    assert isinstance(undisturbed, Finished)
    assert undisturbed.trained_tokens == finished.trained_tokens
    assert undisturbed.energy_j is None
