"""A pytest plug-in for the client's own tests. It imports nothing of this project.

``OFFICIAL_RUN`` is a JSON file: ``control`` is the URL to be told each test's name, ``expected``
maps the tests that fail here to the reason, ``outcome`` is where to write what became of each test.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

RUN = json.loads(Path(os.environ["OFFICIAL_RUN"]).read_text())
REFUSALS = (openai.APIStatusError, openai.APIResponseValidationError, AssertionError)

server = httpx2.Client()
outcomes: dict[str, dict[str, Any]] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that are known to fail run, too, and have to fail."""
    for item in items:
        reason = RUN["expected"].get(item.nodeid.partition("[")[0])
        if reason:
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason, raises=REFUSALS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Fresh records before a test, and what it asked for after it."""
    _control("POST", item.nodeid)
    outcomes[item.nodeid] = {"outcome": "passed", "reason": ""}
    result = yield
    outcomes[item.nodeid]["asked"] = _control("GET")
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the worst of set-up, call and tear-down."""
    if hasattr(report, "wasxfail"):
        outcomes[report.nodeid] |= {"outcome": "expected", "reason": report.wasxfail}
    elif not report.passed:
        reason = str(report.longrepr)[-2000:]
        outcomes[report.nodeid] |= {"outcome": report.outcome, "reason": reason}


def pytest_sessionfinish() -> None:
    """Hand over."""
    server.close()
    Path(RUN["outcome"]).write_text(json.dumps(outcomes))


def _control(method: str, test: str = "") -> Any:
    return server.request(method, RUN["control"], json=test).raise_for_status().json()
