"""What goes on around a process that is killed: one story for each who is, and what it was at.

Each starts what it needs, lets the process die at a point (``job.claimed@1``), starts it again, and
returns the job once it has ended.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.faults.invariants import trainers, watched
from tests.faults.stack import STEPS_PER_EPOCH, Stack
from tests.queues import until
from tunery_adapters.fault import Point
from tunery_server.records.rows import Job, JobStatus

KILLED_S = 300.0
AMID = STEPS_PER_EPOCH + 1
FROZEN = f"{Point.TRAIN_STEP}@{AMID}:stop"
"""The trainer waits there, for its job would end before anyone could pause it."""


def create(stack: Stack, fault: str) -> Job:
    """The gateway dies while it makes a job; the client sends the same once more."""
    body = stack.request()
    headers = {"Idempotency-Key": "one"}
    stack.start_gateway(f"{fault}:kill")
    with stack.http() as client, pytest.raises(httpx2.TransportError):
        client.post("/v1/fine_tuning/jobs", json=body, headers=headers)
    stack.gateway.wait_killed(KILLED_S)
    stack.worker.start()
    stack.start_gateway()
    with stack.http() as client:
        made = client.post("/v1/fine_tuning/jobs", json=body, headers=headers).json()
        listed = client.get("/v1/fine_tuning/jobs").json()["data"]
    assert [job["id"] for job in listed] == [made["id"]]
    return watched(stack, made["id"])


def upload(stack: Stack, fault: str) -> Job:
    """The gateway dies while it takes a file; what nobody was told of is swept."""
    stack.start_gateway(f"{fault}:kill")
    with pytest.raises(httpx2.TransportError):
        stack.post_file()
    stack.gateway.wait_killed(KILLED_S)
    [left] = (stack.home / "files").iterdir()
    stack.age(left)
    stack.start_gateway()
    stack.post_file()
    stack.worker.start()
    return watched(stack, stack.submit().id)


def cancel(stack: Stack, fault: str) -> Job:
    """The gateway dies while it cancels a job that waits; a worker comes by."""
    job = stack.submit()
    stack.start_gateway(f"{fault}:kill")
    with stack.http() as client, pytest.raises(httpx2.TransportError):
        client.post(f"/v1/fine_tuning/jobs/{job.id}/cancel")
    stack.gateway.wait_killed(KILLED_S)
    stack.worker.start()
    stack.start_gateway()
    with stack.http() as client:
        again = client.post(f"/v1/fine_tuning/jobs/{job.id}/cancel")
    assert again.json()["status"] == "cancelled"
    return watched(stack, job.id)


def pause(stack: Stack, fault: str) -> Job:
    """The gateway dies while it pauses a job that runs; it is paused, and goes on when resumed."""
    stack.start_gateway(f"{fault}:kill")
    stack.worker.start(FROZEN)
    job = stack.at_step(stack.submit().id, AMID)
    with stack.http() as client, pytest.raises(httpx2.TransportError):
        client.post(f"/v1/fine_tuning/jobs/{job.id}/pause")
    stack.gateway.wait_killed(KILLED_S)
    thaw_when_asked_to_end(stack)
    stack.job_when(job.id, lambda job: job.status is JobStatus.PAUSED)
    stack.worker.stop()
    stack.worker.start()  # one whose trainers do not freeze
    return resumed(stack, job)


def work(stack: Stack, fault: str) -> Job:
    """A worker dies; another one takes its place."""
    stack.worker.start(f"{fault}:kill")
    job = stack.submit()
    stack.worker.wait_killed(KILLED_S)
    stack.worker.start()
    return watched(stack, job.id)


def leave(stack: Stack, fault: str) -> Job:
    """A worker dies while a job of its is about to pause."""
    stack.worker.start(f"{fault}:kill,{FROZEN}")
    job = stack.at_step(stack.submit().id, AMID)
    stack.services.jobs.pause(job.tenant_id, job.id)
    thaw_when_asked_to_end(stack)
    stack.worker.wait_killed(KILLED_S)
    stack.worker.start()
    return resumed(stack, job)


def reconcile(stack: Stack, fault: str) -> Job:
    """A worker dies, then the one that takes its job back, amid that."""
    stack.worker.start(FROZEN)
    job = stack.at_step(stack.submit().id, AMID)
    stack.worker.kill()
    stack.worker.start(f"{fault}:kill")
    stack.worker.wait_killed(KILLED_S)
    stack.worker.start()
    return watched(stack, job.id)


def train(stack: Stack, fault: str) -> Job:
    """A trainer and its worker die at once; another worker goes on from a checkpoint."""
    stack.worker.start(f"{fault}:kill_parent")
    job = stack.submit()
    stack.worker.wait_killed(KILLED_S)
    stack.worker.start()
    return watched(stack, job.id)


def resumed(stack: Stack, job: Job) -> Job:
    stack.job_when(job.id, lambda job: job.status is JobStatus.PAUSED)
    stack.services.jobs.resume(job.tenant_id, job.id)
    return watched(stack, job.id)


def damage(stack: Stack, fault: str, harm: Callable[[Path], None]) -> Job:
    """As :func:`train`, and the newest checkpoint is not what was written."""
    stack.worker.start(f"{fault}:kill_parent")
    job = stack.submit()
    stack.worker.wait_killed(KILLED_S)
    harm(newest_checkpoint(stack, job))
    stack.worker.start()
    return watched(stack, job.id)


def thaw_when_asked_to_end(stack: Stack) -> None:
    """Let the trainer go on once its worker wants it to end, or is dead."""
    [trainer] = trainers(stack)

    def is_asked() -> bool:
        return not stack.worker.running or is_pending(trainer, signal.SIGTERM)

    until(is_asked, within_s=KILLED_S)
    with contextlib.suppress(ProcessLookupError):
        os.kill(trainer, signal.SIGCONT)


def is_pending(pid: int, number: signal.Signals) -> bool:
    """Whether a signal waits for a frozen process to go on; as proc_pid_status(5) tells."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("ShdPnd:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def newest_checkpoint(stack: Stack, job: Job) -> Path:
    folders = (stack.home / "jobs" / job.id / "checkpoints").iterdir()
    return max(folders, key=lambda folder: int(folder.name.rpartition("-")[2]))
