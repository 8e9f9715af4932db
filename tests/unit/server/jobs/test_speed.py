"""How long a job takes, by earlier ones or by arithmetic."""

from pathlib import Path
from typing import Any

import pytest

from tests.base_models import write_sizes
from tests.rows import NOW, a_job
from tunery_adapters.base_model import read_shape
from tunery_adapters.footprint import flops_a_token
from tunery_adapters.spec import LoraSpec
from tunery_server.jobs.hardware import Hardware
from tunery_server.jobs.speed import computed, has_rate, measured
from tunery_server.records.rows import Job


def ended(rate: float, **values: Any) -> Job:
    """A job that took ten seconds to start."""
    timings = {"training_started_at": NOW + 10}
    progress = {"mean_tokens_per_s": rate}
    return a_job(started_at=NOW, timings=timings, progress=progress, **values)


def test_the_median_speed_of_jobs_alike_counts() -> None:
    found = measured(a_job(), [ended(100), ended(400), ended(200)], tokens=1000)
    assert found is not None
    assert (found.expected, found.basis, found.jobs) == (10 + 1000 / 200, "measured", 3)
    assert found.low == pytest.approx((10 + 1000 / 400) / 1.3)
    assert found.high == pytest.approx((10 + 1000 / 100) * 1.3)


def test_only_the_newest_few_count() -> None:
    found = measured(a_job(), [ended(100)] * 5 + [ended(1)], tokens=1000)
    assert found is not None
    assert found.jobs == 5
    assert found.expected == 20


@pytest.mark.parametrize(
    "other",
    [
        {"model": "other"},
        {"hyperparameters": {"beta": 0.1}},
        {"lora": {"rank": 8, "quantization": "nf4"}},
        {"lora": {"rank": 8, "dropout": 0.1}},
    ],
)
def test_a_job_of_another_kind_says_nothing(other: dict[str, Any]) -> None:
    assert measured(a_job(), [ended(100, **other)], tokens=1000) is None


def test_a_job_without_a_speed_is_left_out() -> None:
    assert has_rate(ended(100))
    assert not has_rate(a_job(progress={"step": 1}))
    assert not has_rate(a_job())


def test_without_jobs_it_is_multiplications_over_their_rate(tmp_path: Path) -> None:
    base = read_shape(write_sizes(tmp_path, hidden_size=1024, intermediate_size=4096))
    assert base is not None
    one, two = (computed(base, Hardware("cpu", 2, n), LoraSpec(), 1e6, 100.0) for n in (1, 2))
    assert one.basis == "computed"
    assert one.low < one.expected < one.high
    flops = 1e6 * flops_a_token(base, LoraSpec(), 100)
    assert flops / (one.expected - two.expected) > 1e9
    assert computed(base, Hardware("cuda", 2, 1), LoraSpec(), 1e6, 100.0).expected < two.expected
