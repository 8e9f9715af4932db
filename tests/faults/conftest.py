"""One stack for all tests of what clients see: each start of a gateway costs seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import Fault
from tests.faults.stack import Stack, started

PLACES = 24
"""In the engine; as many again may wait."""


@pytest.fixture(scope="package")
def long_lived(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Iterator[Stack]:
    """A gateway with few places before a scripted engine; nothing trains."""
    bounds = {
        "TUNERY_MAX_CONCURRENT_REQUESTS": str(PLACES),
        "TUNERY_MAX_QUEUED_REQUESTS": str(PLACES),
    }
    with started(tmp_path_factory.mktemp("serving"), base_model, **bounds) as stack:
        yield stack


@pytest.fixture
def serving(long_lived: Stack) -> Stack:
    """The stack with a gateway that runs and an engine that has no fault."""
    if not long_lived.gateway.running:
        long_lived.start_gateway()
    long_lived.order(Fault.NONE, tokens=2, after=1, pace_s=0.0)
    return long_lived
