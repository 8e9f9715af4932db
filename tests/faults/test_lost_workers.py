"""A worker dies amid a job, with the settings as they come.

About 45 seconds: a lease of the default length has to run out, and two trainers import torch.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import invariants
from tests.faults.invariants import watched
from tests.faults.stack import Stack, started
from tests.promises import TOOK_S
from tunery_adapters.fault import Point
from tunery_server.records.rows import Job, JobStatus

pytestmark = [pytest.mark.training, pytest.mark.timeout(600)]

PROMISED_S = 30.0
DEFAULT_LEASE_S = 20.0
TRAINER_S = 60.0
AT_STEP_5 = f"{Point.TRAIN_STEP}@5"
Record = Callable[[str, object], None]


def messages(stack: Stack, job: Job) -> list[str]:
    page = stack.history.events(job.id, after=None, limit=1000)
    assert page is not None
    return [event.message for event in reversed(page.items)]


def running(attempt: int) -> Callable[[Job], bool]:
    return lambda job: (job.status, job.attempt) == (JobStatus.RUNNING, attempt)


@pytest.mark.promise("P3", fault="SIGKILL of a worker at step 5, with the default lease of 20 s")
def test_a_job_runs_again_soon_after_its_worker_died(
    tmp_path: Path, tiny_model: Path, record_property: Record
) -> None:
    with started(tmp_path / "home", tiny_model, TUNERY_LEASE_S=str(DEFAULT_LEASE_S)) as stack:
        stack.worker.start(f"{AT_STEP_5}:kill_parent")
        job = stack.submit()
        stack.worker.wait_killed(TRAINER_S)
        died_at = time.monotonic()
        stack.worker.start()  # as its supervisor does
        stack.job_when(job.id, running(attempt=2), within_s=PROMISED_S)
        record_property(TOOK_S, time.monotonic() - died_at)
        assert any(said.startswith("The worker was lost") for said in messages(stack, job))
        job = watched(stack, job.id)
        assert (job.status, job.losses) == (JobStatus.SUCCEEDED, 1)
        invariants.hold(stack, job)
