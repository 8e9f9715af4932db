"""docs/metrics.md lists every metric of a gateway."""

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "metrics_table.py"))


def test_the_page_is_up_to_date(script: dict[str, Any]) -> None:
    assert script["page"]() == (ROOT / "docs" / "metrics.md").read_text(), (
        "run 'python docs/metrics_table.py --write'"
    )


def test_every_metric_is_named_as_the_field_does(script: dict[str, Any]) -> None:
    for metric, _ in script["every"]():
        assert metric.name.startswith("tunery_")
        assert metric.documentation.endswith(".")
        assert metric.type != "histogram" or metric.name.endswith("_seconds")
