"""More requests than the engine can take, from one tenant or for another one to suffer from.

An open loop of ten and of twenty times what the engine serves; a minute, and three where
faults are tried in rounds. How fast refusals are is measured and shown, never asserted.
"""

import asyncio
import os
from collections.abc import Callable

import pytest

from tests.engines import Fault
from tests.faults.conftest import PLACES
from tests.faults.open_loop import visitors
from tests.faults.soak_samples import rss_mib
from tests.faults.stack import Stack
from tests.promises import ROUNDS, TOOK_S
from tests.queues import until

pytestmark = [pytest.mark.once, pytest.mark.timeout(600)]

EVENTS, PACE_S = 5, 0.6
CAPACITY = PLACES / (EVENTS * PACE_S)
"""Requests a second."""
SECONDS = 60.0 if ROUNDS in os.environ else 10.0
GROWTH_MIB = 32
Record = Callable[[str, object], None]


@pytest.fixture
def paced(serving: Stack) -> Stack:
    """Each request takes three seconds."""
    serving.order(Fault.NONE, tokens=EVENTS - 1, pace_s=PACE_S)
    return serving


@pytest.mark.promise("P20", fault="ten times as many requests as the engine can take")
def test_what_is_too_much_is_refused_and_it_ends(paced: Stack, record_property: Record) -> None:
    key = paced.new_key("crowd")
    asyncio.run(visitors(paced, key, rate=CAPACITY, seconds=3))
    before = rss_mib(paced.gateway.pid)
    crowd = asyncio.run(visitors(paced, key, rate=10 * CAPACITY, seconds=SECONDS))
    refused = crowd.with_status(429, 503)
    assert crowd.statuses.keys() == {200, 503}
    assert len(refused) > len(crowd.visits) / 2
    assert all(int(visit.headers["retry-after"]) >= 1 for visit in refused)
    assert all(visit.whole for visit in crowd.with_status(200))
    assert rss_mib(paced.gateway.pid) - before < GROWTH_MIB
    until(lambda: paced.engine_runs() == 0, within_s=60)
    after = asyncio.run(visitors(paced, key, rate=1, seconds=2))
    assert after.statuses == {200: 2}
    times = {percent: crowd.first_s(503, percent=percent) for percent in (50, 99)}
    print(f"seconds until a refusal, by percentile: {times}")
    record_property(TOOK_S, times[99])


@pytest.mark.promise("P21", fault="a tenant floods at twenty times what the engine can take")
def test_another_tenants_requests_all_succeed(paced: Stack, record_property: Record) -> None:
    loud, quiet = paced.new_key("loud"), paced.new_key("quiet")

    async def both() -> None:
        flood = asyncio.create_task(visitors(paced, loud, rate=20 * CAPACITY, seconds=SECONDS))
        calm = await visitors(paced, quiet, rate=2, seconds=SECONDS)
        assert set((await flood).statuses) == {200, 503}
        assert calm.statuses == {200: int(2 * SECONDS)}
        assert all(visit.whole for visit in calm.visits)
        times = {percent: calm.first_s(200, percent=percent) for percent in (50, 95)}
        print(f"seconds until a quiet tenant's first token, by percentile: {times}")
        record_property(TOOK_S, times[95])

    asyncio.run(both())
