"""A worker with several places, and jobs that make room for others."""

from pathlib import Path

import pytest

from tests.rows import NOW, a_tenant, an_endpoint
from tests.servers import alive
from tests.stand_in_trainer import install
from tunery_server.records.database import Database
from tunery_server.records.projects import ProjectRecords
from tunery_server.records.rows import JobStatus
from tunery_server.records.tenants import TenantPolicies
from tunery_server.records.webhooks import EndpointRecords
from tunery_server.worker.attempt import Bench

from .working import STOPS, add_job, current, messages, reached, trainer_pid, until, working

STEPS_ASIDE = f"""
if (folder / "again").exists():
    step(2); finished(2)
    sys.exit(0)
(folder / "again").touch()
{STOPS}
"""
"""Hangs until it is stopped; the next time it ends well."""

FINISHES = "step(1); finished(1)"
BOTH = f"""
if spec["seed"] == 1:
    {FINISHES}
    sys.exit(0)
{STEPS_ASIDE}
"""


async def test_several_jobs_run_at_once(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, STOPS)
    jobs = [add_job(bench, created_at=NOW + number) for number in range(3)]
    async with working(bench, slots=2) as worker:
        pids = [await trainer_pid(bench, job) for job in jobs[:2]]
        assert len(alive(pids)) == 2
        assert current(bench, jobs[2]).status is JobStatus.QUEUED
        worker.stop()
        for job in jobs[:2]:
            await reached(bench, job, JobStatus.QUEUED)
    assert alive(pids) == []
    assert bench.queue.leased() == frozenset()


async def test_a_job_makes_room_for_one_of_a_higher_priority_and_goes_on_after_it(
    bench: Bench, policies: TenantPolicies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies.set("acme", preemptible=True, max_running=1)
    install(tmp_path, monkeypatch, BOTH)
    patient = add_job(bench)
    async with working(bench):
        pid = await trainer_pid(bench, patient)
        urgent = add_job(bench, priority=1, seed=1)
        await reached(bench, urgent, JobStatus.SUCCEEDED)
        assert not alive([pid])
        done = await reached(bench, patient, JobStatus.SUCCEEDED)
    assert (done.attempt, done.losses) == (2, 0)
    assert "The job makes room for one of a higher priority" in messages(bench, patient)
    await until(lambda: not bench.queue.leased())


@pytest.mark.parametrize("priority", [0, 1])
async def test_a_job_that_need_not_goes_on(
    bench: Bench,
    policies: TenantPolicies,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    priority: int,
) -> None:
    """Its tenant does not allow it, or the other is not of a higher priority."""
    policies.set("acme", preemptible=priority == 0)
    script = f"""
    if spec["seed"] == 1:
        {FINISHES}
        sys.exit(0)
    step(1)
    while not (folder / 'go').exists(): time.sleep(0.01)
    {FINISHES}
    """
    install(tmp_path, monkeypatch, script)
    first = add_job(bench)
    async with working(bench):
        await until(lambda: bool(bench.history.metrics(first.id)))
        second = add_job(bench, priority=priority, seed=1)
        (bench.folder / first.id / "go").touch()
        await reached(bench, second, JobStatus.SUCCEEDED)
    now = current(bench, first)
    assert (now.status, now.attempt) == (JobStatus.SUCCEEDED, 1)


async def test_one_that_waited_for_too_long_makes_no_room(
    bench: Bench, policies: TenantPolicies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies.set("acme", preemptible=True)
    install(tmp_path, monkeypatch, STEPS_ASIDE)
    first = add_job(bench, waiting_since=bench.clock() - 7200)
    async with working(bench) as worker:
        await trainer_pid(bench, first)
        add_job(bench, priority=100)
        # The worker has nothing left to do but to ask, as often as it is let.
        assert await worker._replace() is False
        assert current(bench, first).attempt == 1


async def test_a_job_that_made_room_does_not_lose_the_time_that_it_waited(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, STOPS)
    job = add_job(bench, waiting_since=bench.clock() - 100)
    async with working(bench) as worker:
        await trainer_pid(bench, job)
        worker.stop()
    stopped = current(bench, job)
    assert stopped.waiting_since == bench.clock() - 100


async def test_a_job_of_an_archived_tenant_waits_until_it_is_taken_back(
    bench: Bench, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, FINISHES)
    projects = ProjectRecords(database)
    gone = projects.add(a_tenant(), {})
    EndpointRecords(database).add(an_endpoint(tenant_id=gone))
    projects.archive(gone, now=NOW)
    waiting = add_job(bench, tenant_id=gone)
    async with working(bench):
        await reached(bench, add_job(bench), JobStatus.SUCCEEDED)
        assert current(bench, waiting) == waiting
        projects.restore(gone)
        assert (await reached(bench, waiting, JobStatus.SUCCEEDED)).attempt == 1
