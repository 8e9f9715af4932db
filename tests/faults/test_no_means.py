"""A trainer without memory, a working folder without room: one job fails; about 30 seconds."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import invariants
from tests.faults.invariants import watched
from tests.faults.stack import STEPS_PER_EPOCH, Stack, started
from tunery_adapters.store import AdapterStore
from tunery_server.records.rows import Job, JobStatus

pytestmark = [pytest.mark.training, pytest.mark.timeout(600)]

LONG = {"n_epochs": 50}


@pytest.fixture
def stack(tmp_path: Path, tiny_model: Path) -> Iterator[Stack]:
    with started(tmp_path / "home", tiny_model) as stack:
        stack.worker.start()
        yield stack


@pytest.fixture
def small_jobs_folder(stack: Stack) -> Iterator[Path]:
    """The trainers' working folder is a file system of 8 MiB."""
    folder, mount, umount = stack.home / "jobs", shutil.which("mount"), shutil.which("umount")
    folder.mkdir(exist_ok=True)
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if mount is None or umount is None or subprocess.run(command, check=False).returncode != 0:
        pytest.skip("only root may mount a file system")
    yield folder
    subprocess.run([umount, "--lazy", str(folder)], check=True)


def trainer(stack: Stack) -> int:
    """The process that trains; what started it has another name."""
    return stack.worker.children("tunery_adapters.training")[-1]


def failed(stack: Stack, job: Job) -> dict[str, str | None]:
    """The error of a job; the worker is the same, and its next job succeeds."""
    worker = stack.worker.pid
    ended = watched(stack, job.id)
    assert ended.status is JobStatus.FAILED
    assert ended.error is not None
    invariants.hold(stack, ended)
    assert watched(stack, stack.submit().id).status is JobStatus.SUCCEEDED
    assert stack.worker.running
    assert stack.worker.pid == worker
    return ended.error


@pytest.mark.promise("P12", fault="SIGKILL of a trainer, as the kernel does without memory")
def test_a_trainer_that_the_kernel_kills_fails_its_job(stack: Stack) -> None:
    job = stack.at_step(stack.submit(**LONG).id)
    os.kill(trainer(stack), signal.SIGKILL)
    error = failed(stack, job)
    assert error["code"] == "out_of_memory"
    assert "batch of 4" in (error["message"] or "")
    assert "256 tokens" in (error["message"] or "")


@pytest.mark.promise("P11", fault="the working folder, of 8 MiB, is full amid a job")
def test_a_trainer_that_finds_no_room_fails_its_job(stack: Stack, small_jobs_folder: Path) -> None:
    job = stack.at_step(stack.submit(**LONG).id, STEPS_PER_EPOCH + 1)
    os.kill(trainer(stack), signal.SIGSTOP)
    filler = small_jobs_folder / "filler"
    fill(filler)
    os.kill(trainer(stack), signal.SIGCONT)
    ended = stack.end_of(job.id)
    filler.unlink()
    assert (ended.error or {})["code"] == "storage_full"
    failed(stack, job)
    checkpoints = stack.history.checkpoints(job.id, after=None, limit=100)
    assert checkpoints is not None
    assert checkpoints.items
    for checkpoint in checkpoints.items:
        adapter = stack.adapters.get(job.tenant_id, checkpoint.model)
        assert adapter is not None
        AdapterStore(stack.home / "adapters").verify(adapter.adapter_id, adapter.version)


def fill(path: Path) -> None:
    """Until there is not a byte left."""
    room = shutil.disk_usage(path.parent).free
    path.write_bytes(bytes(room))
    assert shutil.disk_usage(path.parent).free == 0
