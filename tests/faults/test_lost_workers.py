"""Workers that die or freeze amid a job, on the real apparatus.

About a minute and a half: one recovery waits for a lease of the default length to run out, and each
attempt at a job imports torch.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import invariants
from tests.faults.invariants import watched
from tests.faults.stack import LEASE_S, Stack, started
from tests.promises import TOOK_S
from tests.queues import until
from tests.servers import alive
from tunery_adapters.fault import Point
from tunery_server.records.rows import Job, JobStatus

pytestmark = [pytest.mark.training, pytest.mark.timeout(600)]

PROMISED_S = 30.0
DEFAULT_LEASE_S = 20.0
TRAINER_S = 60.0
AT_STEP_5 = f"{Point.TRAIN_STEP}@5"
Record = Callable[[str, object], None]


@pytest.fixture
def stack(tmp_path: Path, tiny_model: Path) -> Iterator[Stack]:
    with started(tmp_path / "home", tiny_model) as stack:
        yield stack


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


@pytest.mark.long
@pytest.mark.promise("P5", fault="SIGSTOP of a worker; another one finishes its job; SIGCONT")
def test_a_worker_that_wakes_after_its_job_has_ended_changes_nothing(stack: Stack) -> None:
    stack.worker.start(f"{AT_STEP_5}:hang")
    job = stack.at_step(stack.submit().id, 5)
    trainers = stack.worker.children("tunery_adapters.training")
    assert trainers
    stack.worker.freeze()
    until(lambda: not alive(trainers), within_s=LEASE_S)
    stack.another_worker().start()
    job = watched(stack, job.id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 2)
    stack.worker.thaw()
    until(lambda: "no longer ours" in stack.worker.log, within_s=TRAINER_S)
    assert stack.job(job.id) == job
    invariants.hold(stack, job)


@pytest.mark.long
@pytest.mark.promise("P7", fault="a job that kills every worker that runs it")
def test_a_job_that_kills_its_workers_fails_and_the_next_one_runs(
    stack: Stack, record_property: Record
) -> None:
    job = stack.submit()
    deaths = []
    for _ in range(3):
        stack.worker.start(f"{Point.TRAIN_STEP}:kill_parent")
        stack.worker.wait_killed(TRAINER_S)
        deaths.append(time.monotonic())
    stack.worker.start()
    ended = stack.end_of(job.id)
    assert ended.error is not None
    assert (ended.status, ended.attempt, ended.losses) == (JobStatus.FAILED, 3, 3)
    assert ended.error["code"] == "worker_crashed"
    first, second, third = deaths
    assert second - first > LEASE_S + 1
    assert third - second > LEASE_S + 10, "each attempt waits longer than the last"
    next_at = time.monotonic()
    following = stack.submit()
    stack.job_when(following.id, running(attempt=1), within_s=PROMISED_S)
    record_property(TOOK_S, time.monotonic() - next_at)
    assert watched(stack, following.id).status is JobStatus.SUCCEEDED


HOLDS_THE_GIL = """
import re, sys, threading, time

def hold():
    '''A regular expression is matched in C, with the lock held: about three seconds each time.'''
    ends = time.monotonic() + {lasting_s}
    while time.monotonic() < ends:
        started, length = time.monotonic(), 20
        while time.monotonic() - started < 2:
            re.match('(a+)+b', 'a' * length)
            length += 1

if 'tunery_adapters.training' in ' '.join(sys.orig_argv):
    threading.Thread(target=hold, daemon=True).start()
"""


@pytest.mark.long
@pytest.mark.promise("P4", fault="a job of ten leases whose trainer holds the GIL for seconds")
def test_a_job_longer_than_its_lease_runs_once(tmp_path: Path, tiny_model: Path) -> None:
    lease_s = 2.0
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(HOLDS_THE_GIL.format(lasting_s=10 * lease_s))
    with contextlib.ExitStack() as context:
        stack = context.enter_context(
            started(tmp_path / "home", tiny_model, TUNERY_LEASE_S=str(lease_s))
        )
        stack.environment["PYTHONPATH"] = f"{hook}:{stack.environment.get('PYTHONPATH', '')}"
        busy, idle = stack.another_worker(), stack.another_worker()
        busy.start()
        idle.start()
        began = time.monotonic()
        job = watched(stack, stack.submit().id)
        assert time.monotonic() - began > 10 * lease_s
        assert (job.status, job.attempt, job.losses) == (JobStatus.SUCCEEDED, 1, 0)
        invariants.hold(stack, job)
