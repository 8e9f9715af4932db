"""A worker that is frozen past its lease: its trainer ends, its late writes are refused."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.training.rows import row
from tests.queues import until
from tests.rows import a_job
from tests.servers import alive, descendants
from tunery_server.files.service import FileService
from tunery_server.files.store import FileStore
from tunery_server.jobs.transitions import UNFINISHED
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Job, JobStatus

pytestmark = [pytest.mark.training, pytest.mark.timeout(600)]

LEASE_S = 6.0
START_S = 120.0
Worker = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def job(database: Database, tmp_path: Path) -> Job:
    """Waits; its trainer has minutes of work."""
    lines = [f"{json.dumps(row(number))}\n".encode() for number in range(400)]
    files = FileService(
        files=FileRecords(database),
        store=FileStore(tmp_path / "home" / "files", max_bytes=2**20),
        in_use=[],
        clock=time.time,
    )
    file = files.create("acme", filename="a", purpose="fine-tune", chunks=lines)
    settings = {"n_epochs": 50, "batch_size": 1, "learning_rate_multiplier": 1.0}
    made = a_job(training_file=file.id, hyperparameters=settings)
    JobRecords(database).add(made)
    return made


@pytest.fixture
def start_worker(
    database: Database, tmp_path: Path, tiny_model: Path, valkey: str
) -> Iterator[Worker]:
    """Starts real workers on one record and one queue."""
    environment = {
        **os.environ,
        "TUNERY_HOME": str(tmp_path / "home"),
        "TUNERY_MODEL": str(tiny_model),
        "TUNERY_MAX_MODEL_LEN": "256",
        "TUNERY_LEASE_S": str(LEASE_S),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'records.db'}",
        "REDIS_URL": valkey,
    }
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tunery_server", "worker"]
        output = (tmp_path / f"worker-{len(started)}.log").open("wb")
        started.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))
        return started[-1]

    yield start
    for worker in started:
        with contextlib.suppress(ProcessLookupError):
            worker.send_signal(signal.SIGCONT)
        worker.terminate()
        worker.wait(90)
    for log in sorted(tmp_path.glob("worker-*.log")):
        print(log.read_text())  # pytest shows it with a failure


def trainers(worker: "subprocess.Popen[bytes]") -> list[int]:
    found = descendants(worker.pid).items()
    return alive(pid for pid, line in found if "tunery_adapters.training" in line)


def freeze(worker: "subprocess.Popen[bytes]", record: Path) -> None:
    """Stop it, but not while it has SQLite's lock, with which it would stop everybody's writing."""
    connection = sqlite3.connect(record, timeout=START_S, isolation_level=None)
    with contextlib.closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        worker.send_signal(signal.SIGSTOP)


@pytest.mark.promise("P5", fault="SIGSTOP of a worker past its lease, then SIGCONT")
def test_its_trainer_ends_before_the_job_is_anothers_and_it_writes_nothing_more(
    job: Job, database: Database, tmp_path: Path, start_worker: Worker
) -> None:
    jobs, history = JobRecords(database), JobHistory(database)

    def now() -> Job:
        found = jobs.get_any(job.id)
        assert found is not None
        return found

    frozen = start_worker()
    until(lambda: now().progress is not None, within_s=START_S)
    [trainer] = trainers(frozen)
    freeze(frozen, tmp_path / "records.db")
    until(lambda: not alive([trainer]), within_s=LEASE_S)
    second = start_worker()
    until(lambda: now().attempt == 2, within_s=START_S)
    until(lambda: bool(trainers(second)), within_s=START_S)
    frozen.send_signal(signal.SIGCONT)
    log = tmp_path / "worker-0.log"
    until(lambda: "job ended" in log.read_text(), within_s=30)
    assert "no longer ours" in log.read_text()
    assert trainers(frozen) == []
    after = now()
    assert (after.status, after.attempt, after.losses) == (JobStatus.RUNNING, 2, 1)
    jobs.change(job.id, allowed=UNFINISHED, status=JobStatus.CANCELLED, finished_at=time.time())
    until(lambda: not trainers(second), within_s=60)
    told = history.events(job.id, after=None, limit=100)
    assert told is not None
    starts = [event for event in told.items if event.message.startswith("Training ")]
    assert len(starts) <= 2
