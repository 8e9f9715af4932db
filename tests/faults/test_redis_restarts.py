"""Redis goes away three times while a job runs; about 25 seconds."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import invariants
from tests.faults.invariants import watched
from tests.faults.stack import Stack, started
from tunery_server.records.rows import JobStatus

pytestmark = [pytest.mark.training, pytest.mark.timeout(600)]

DOWN_S = 2.0
LONG = {"n_epochs": 50}


@pytest.fixture
def stack(tmp_path: Path, tiny_model: Path) -> Iterator[Stack]:
    with started(tmp_path / "home", tiny_model) as stack:
        yield stack


@pytest.mark.promise("P9", fault="Redis is killed three times, 2 s each, while a job runs")
def test_a_job_does_not_notice_and_new_ones_are_refused_meanwhile(stack: Stack) -> None:
    stack.start_gateway()
    stack.worker.start()
    pids = [stack.gateway.pid, stack.worker.pid]
    job = stack.at_step(stack.submit(**LONG).id)
    body = {"model": stack.settings.base_model_name, "training_file": job.training_file}
    with stack.http() as http:
        for _ in range(3):
            stack.valkey.kill()
            refused = http.post("/v1/fine_tuning/jobs", json=body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (
                503,
                "server_is_overloaded",
            )
            assert int(refused.headers["retry-after"]) >= 1
            assert http.get(f"/v1/fine_tuning/jobs/{job.id}").status_code == 200
            time.sleep(DOWN_S)
            stack.start_valkey()
        listed = http.get("/v1/fine_tuning/jobs").json()["data"]
        assert [each["id"] for each in listed] == [job.id], "nothing is half made"
        job = watched(stack, job.id)
        assert (job.status, job.attempt, job.losses) == (JobStatus.SUCCEEDED, 1, 0)
        invariants.hold(stack, job)
        after = http.post("/v1/fine_tuning/jobs", json=body)
        assert after.status_code == 200
    assert watched(stack, after.json()["id"]).status is JobStatus.SUCCEEDED
    assert [stack.gateway.pid, stack.worker.pid] == pids
    assert stack.gateway.running
    assert stack.worker.running
