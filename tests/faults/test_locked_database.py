"""Another process keeps the database locked while a job runs; about 30 seconds."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults import invariants
from tests.faults.invariants import watched
from tests.faults.stack import Stack, started
from tunery_server.records.rows import JobStatus

pytestmark = [pytest.mark.training, pytest.mark.timeout(600)]

LONG = {"n_epochs": 20}


@pytest.fixture
def stack(tmp_path: Path, tiny_model: Path) -> Iterator[Stack]:
    with started(tmp_path / "home", tiny_model) as stack:
        yield stack


@pytest.mark.promise("P9", fault="the database is locked until a client has been refused")
def test_a_job_waits_for_it_and_a_new_one_is_refused(stack: Stack) -> None:
    stack.start_gateway()
    stack.worker.start()
    job = stack.at_step(stack.submit(**LONG).id)
    body = {"model": stack.settings.base_model_name, "training_file": job.training_file}
    record = sqlite3.connect(stack.home / "tunery.db", timeout=60, isolation_level=None)
    with closing(record), stack.http() as http:
        record.execute("BEGIN IMMEDIATE")
        refused = http.post("/v1/fine_tuning/jobs", json=body)
        assert http.get(f"/v1/fine_tuning/jobs/{job.id}").status_code == 200
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "server_is_overloaded")
    assert int(refused.headers["retry-after"]) >= 1
    job = watched(stack, job.id)
    assert (job.status, job.attempt, job.losses) == (JobStatus.SUCCEEDED, 1, 0)
    invariants.hold(stack, job)
