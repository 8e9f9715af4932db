"""A cancel while a trainer is busy, and one after which everything is killed; about 25 seconds."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import invariants
from tests.faults.stack import Stack, started
from tests.promises import TOOK_S
from tests.queues import until
from tests.servers import alive
from tunery_adapters.fault import Point
from tunery_server.records.rows import Job, JobStatus

pytestmark = [pytest.mark.training, pytest.mark.timeout(600)]

PROMISED_S = 10.0
AMID = [Point.TRAIN_STEP, Point.CKPT_TMP_WRITTEN, Point.TRAIN_DONE]


@pytest.fixture
def stack(tmp_path: Path, tiny_model: Path) -> Iterator[Stack]:
    with started(tmp_path / "home", tiny_model) as stack:
        yield stack


@pytest.fixture
def point(request: pytest.FixtureRequest) -> Point:
    """Another one in each round."""
    params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    return AMID[params.get("fault_round", 0) % len(AMID)]


def busy(stack: Stack, point: Point) -> tuple[Job, list[int]]:
    """A job whose trainer hangs at a point, and the trainer's processes."""
    stack.worker.start(f"{point}:hang")
    job = stack.at_step(stack.submit().id)
    return job, stack.worker.children("tunery_adapters.training")


def cancel(stack: Stack, job: Job) -> float:
    """Twice, as an impatient client does; when the first one was confirmed."""
    assert stack.services.jobs.cancel(job.tenant_id, job.id).status is JobStatus.CANCELLED
    confirmed_at = time.monotonic()
    assert stack.services.jobs.cancel(job.tenant_id, job.id).status is JobStatus.CANCELLED
    return confirmed_at


@pytest.mark.promise("P13", fault="cancel while a trainer hangs: at a step, in a save, at the end")
def test_the_trainer_is_gone_soon(
    stack: Stack, point: Point, record_property: Callable[[str, object], None]
) -> None:
    job, trainers = busy(stack, point)
    assert trainers
    confirmed_at = cancel(stack, job)
    until(lambda: not alive(trainers) and not stack.queue.leased(), within_s=PROMISED_S)
    record_property(TOOK_S, time.monotonic() - confirmed_at)
    invariants.hold(stack, stack.job(job.id))


@pytest.mark.promise("P13", fault="SIGKILL of everything right after a cancel was confirmed")
def test_it_stays_cancelled_whatever_dies_then(stack: Stack, point: Point) -> None:
    job, trainers = busy(stack, point)
    cancel(stack, job)
    for piece in stack.pieces:
        piece.kill()
    until(lambda: not alive(trainers))
    stack.start_valkey()
    stack.start_engine()
    stack.worker.start()
    following = stack.end_of(stack.submit().id)
    assert following.status is JobStatus.SUCCEEDED
    assert stack.job(job.id).status is JobStatus.CANCELLED
    invariants.hold(stack, stack.job(job.id))
