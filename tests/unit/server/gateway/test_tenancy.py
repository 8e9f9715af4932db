"""Two tenants do what comes to Hypothesis' mind; ten seconds, and 2,000 steps in make faults."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from tests.engines import ScriptedEngine
from tests.promises import ROUNDS
from tunery_server.config import Settings

from .composed import Gateway, composed
from .tenancy_machine import TenantsMachine

STEPS_OF_A_RUN = 50
STEPS = int(os.environ.get("TUNERY_TEST_MODEL_STEPS", "2000" if ROUNDS in os.environ else "300"))
"""Read at once: tests see no setting of the machine."""


@pytest.fixture
def runner() -> "Iterator[asyncio.Runner]":
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def gateway(
    settings: Settings, engine: ScriptedEngine, migrated: Path, runner: "asyncio.Runner"
) -> Iterator[Gateway]:
    """As the one of the gateway's tests, on a loop of its own."""
    redis.Redis.from_url(settings.redis).flushall()
    gateway = composed(settings, engine, migrated)
    runner.run(gateway.see_engine())
    yield gateway
    gateway.database.close()


@pytest.mark.once
@pytest.mark.timeout(1200)
@pytest.mark.promise("P27", fault="random steps of two tenants, against a plain model")
def test_what_is_deleted_is_gone_and_what_is_anothers_is_not_there(
    gateway: Gateway, runner: "asyncio.Runner"
) -> None:
    TenantsMachine.steps = 0
    while TenantsMachine.steps < STEPS:  # a run may be shorter than it might be
        run_state_machine_as_test(
            lambda: TenantsMachine(gateway, runner),
            settings=hypothesis_settings(
                max_examples=-(-(STEPS - TenantsMachine.steps) // STEPS_OF_A_RUN),
                stateful_step_count=STEPS_OF_A_RUN,
                deadline=None,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
