"""A process is killed at every point that has a name; whatever dies, the same holds of the job.

The points are those of ``tunery_adapters/fault.py``, each taken once: a new one is killed at, too.
Then the trainer dies, and its newest checkpoint is damaged. Three are tried at a time, for much of
it is waiting for leases to run out: about three minutes on two cores for all of them, most of that
torch being imported by real trainers. It buys what no fault from outside can show: a crash between
any two writes.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults import invariants, stories
from tests.faults.invariants import Work, watched, work_of
from tests.faults.stack import EPOCHS, STEPS_PER_EPOCH, Stack, started
from tunery_adapters.fault import Point
from tunery_server.records.rows import Job, JobStatus

pytestmark = [pytest.mark.training, pytest.mark.timeout(900)]

LANES = 3
STEPS = EPOCHS * STEPS_PER_EPOCH
VERSIONS = range(EPOCHS + 1, 0, -1)
"""A job publishes one after each epoch, and the final one."""

NTH: dict[Point, Sequence[int]] = {
    Point.TRAIN_STEP: (STEPS_PER_EPOCH + 2, 1, STEPS, STEPS - 1, STEPS_PER_EPOCH),
    Point.CKPT_TMP_WRITTEN: (2, 1, 3),
    Point.CKPT_RENAMED: (2, 1, 3),
    Point.ADAPTER_TMP_WRITTEN: VERSIONS,
    Point.ADAPTER_RENAMED: VERSIONS,
    Point.ADAPTER_REGISTERED: (2, 1, 3),
}
"""The how-manieth time, one for each round; where nothing is said, the first."""

Story = Callable[[Stack, str], Job]

STORIES: dict[str, Story] = {
    "create": stories.create,
    "queue": stories.create,
    "file": stories.upload,
    "cancel": stories.cancel,
    "pause": stories.pause,
    "job": stories.work,
    "adapter": stories.work,
    "reconciler": stories.reconcile,
    "train": stories.train,
    "ckpt": stories.train,
}
"""By the first word of a point's name."""

OF_ITS_OWN = {Point.JOB_STOPPING: stories.leave, Point.JOB_RELEASED: stories.leave}


def truncate(checkpoint: Path) -> None:
    weights = checkpoint / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


def flip(checkpoint: Path) -> None:
    tensors = checkpoint / "optimizer.safetensors"
    content = bytearray(tensors.read_bytes())
    content[-1] ^= 1
    tensors.write_bytes(content)


def unmark(checkpoint: Path) -> None:
    (checkpoint / "complete.json").unlink()


HARMS = (truncate, flip, unmark)
"""One for each round."""


def undisturbed(home: Path, model: Path) -> Work:
    """What the job makes when nothing dies."""
    with started(home, model) as stack:
        stack.worker.start()
        job = watched(stack, stack.submit().id)
        assert job.status is JobStatus.SUCCEEDED, job.error
        invariants.hold(stack, job)
        return work_of(stack, job)


def survives(home: Path, model: Path, reference: "Future[Work]", item: pytest.Function) -> None:
    """Let it happen, and look at what became of the job."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    with started(home, model) as stack:
        if "point" in params:
            job = killed_at(stack, params["point"], params.get("fault_round", 0))
        else:
            job = damaged(stack, params.get("fault_round", 0))
        cancelled = params.get("point") is Point.CANCEL_WRITTEN
        expected = JobStatus.CANCELLED if cancelled else JobStatus.SUCCEEDED
        assert job.status is expected, job.error
        invariants.hold(stack, job, reference.result())


def killed_at(stack: Stack, point: Point, fault_round: int) -> Job:
    story = OF_ITS_OWN.get(point) or STORIES[point.partition(".")[0]]
    times = NTH.get(point, (1,))
    return story(stack, f"{point}@{times[fault_round % len(times)]}")


def damaged(stack: Stack, fault_round: int) -> Job:
    """The checkpoint is skipped, which the job's history tells, and the one before it is used."""
    harm = HARMS[fault_round % len(HARMS)]
    job = stories.damage(stack, f"{Point.TRAIN_STEP}@{STEPS - 1}", harm)
    said = invariants.messages(stack, job)
    newest, before = STEPS - STEPS_PER_EPOCH, STEPS - 2 * STEPS_PER_EPOCH
    assert [message for message in said if f"step-{newest} is damaged" in message]
    assert [message for message in said if message.endswith(f"going on from step {before}")]
    return job


@pytest.fixture(scope="module")
def outcomes(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, request: pytest.FixtureRequest
) -> Iterator[dict[str, "Future[None]"]]:
    """Of every test here that this session asks for, by its id, as they come."""
    asked = [
        item
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path
    ]
    home = tmp_path_factory.mktemp("crash")
    with ThreadPoolExecutor(LANES) as lanes:
        reference = lanes.submit(undisturbed, home / "0", tiny_model)
        yield {
            item.nodeid: lanes.submit(survives, home / str(number), tiny_model, reference, item)
            for number, item in enumerate(asked, 1)
        }
        lanes.shutdown(cancel_futures=True)


def promised(point: Point) -> pytest.ParameterSet:
    """Recovery's own points show that promise, the others that jobs survive."""
    name = "P6" if point.startswith("reconciler.") else "P2"
    mark = pytest.mark.promise(name, fault=f"SIGKILL at {point}")
    return pytest.param(point, marks=mark, id=point)


@pytest.mark.parametrize("point", [promised(point) for point in Point])
def test_a_job_survives_a_kill(
    point: Point, outcomes: dict[str, "Future[None]"], request: pytest.FixtureRequest
) -> None:
    outcomes[request.node.nodeid].result()


@pytest.mark.promise("P8", fault="SIGKILL, and the newest checkpoint is cut, changed or unmarked")
def test_a_job_survives_a_damaged_checkpoint(
    outcomes: dict[str, "Future[None]"], request: pytest.FixtureRequest
) -> None:
    outcomes[request.node.nodeid].result()
