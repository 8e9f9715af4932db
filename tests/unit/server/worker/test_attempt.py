"""One attempt from claim to outcome; everything is real but the engine and the trainer."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from tests.engines import Fault, ScriptedEngine
from tests.peft import write_peft_folder
from tests.queues import entry_of, in_line
from tests.rows import a_job
from tests.servers import alive
from tests.stand_in_trainer import install
from tunery_server.files.service import RESULTS
from tunery_server.jobs.transitions import PAUSE, RESUME, UNFINISHED
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.rows import Job, JobStatus
from tunery_server.worker.attempt import Bench
from tunery_server.worker.trainer import Trainer

from .conftest import StoppedClock
from .working import (
    GOOD,
    HANGS,
    STOPS,
    add_job,
    current,
    messages,
    reached,
    trainer_pid,
    until,
    working,
)


async def test_a_job_ends_with_an_adapter_that_is_loaded(
    bench: Bench,
    job: Job,
    adapters: AdapterRecords,
    engine: ScriptedEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(tmp_path, monkeypatch, GOOD)
    async with working(bench):
        done = await reached(bench, job, JobStatus.SUCCEEDED)
    assert done.fine_tuned_model is not None
    assert (done.attempt, done.trained_tokens) == (1, 20)
    assert adapters.get("acme", done.fine_tuned_model) is not None
    assert done.work == {"trained_tokens": 20, "training_s": 5.0, "energy_j": None}
    assert engine.adapters == {done.fine_tuned_model}
    checkpoints = bench.history.checkpoints(job.id, after=None, limit=9)
    assert checkpoints is not None
    assert [c.model for c in checkpoints.items] == [f"{done.fine_tuned_model}:ckpt-step-1"]
    [result] = done.result_files
    file, content = bench.files.content("acme", result)
    assert (file.purpose, b"".join(content).count(b"\n")) == (RESULTS, 3)
    assert messages(bench, job)[-1] == "The job has successfully completed"
    assert bench.queue.leased() == frozenset()
    assert not (bench.folder / job.id / "adapter").exists()


async def test_a_job_succeeds_while_the_engine_is_away(
    bench: Bench, job: Job, engine: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.fault = Fault.AWAY
    install(tmp_path, monkeypatch, GOOD)
    async with working(bench):
        await reached(bench, job, JobStatus.SUCCEEDED)
    assert any("does not answer" in message for message in messages(bench, job))


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("step(1); sys.exit(1)", "trainer_error"),
        ("step(1)", "trainer_error"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "out_of_memory"),
        ("import shutil; shutil.rmtree(folder / 'adapter'); finished(1)", "invalid_adapter"),
    ],
)
async def test_a_failed_job_leaves_nothing_and_the_next_one_runs(
    bench: Bench,
    job: Job,
    adapters: AdapterRecords,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    code: str,
) -> None:
    install(tmp_path, monkeypatch, script)
    async with working(bench):
        failed = await reached(bench, job, JobStatus.FAILED)
        assert failed.error is not None
        assert failed.error["code"] == code
        install(tmp_path, monkeypatch, GOOD)
        following = a_job(training_file=job.training_file)
        write_peft_folder(bench.folder / following.id / "adapter")
        bench.jobs.add(following)
        bench.queue.enqueue(entry_of(following))
        await reached(bench, following, JobStatus.SUCCEEDED)
    page = adapters.list("acme")
    assert page is not None
    assert {adapter.job_id for adapter in page.items} == {following.id}


async def test_a_trainer_is_told_the_method_and_what_it_goes_on_from(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, GOOD)
    first = add_job(bench)
    async with working(bench):
        parent = (await reached(bench, first, JobStatus.SUCCEEDED)).fine_tuned_model
        numbers = {**first.hyperparameters, "beta": 0.25}
        training = {"eval_every": 5, "early_stopping": None, "keep": "best"}
        job = add_job(bench, parent=parent, hyperparameters=numbers, training=training)
        await reached(bench, job, JobStatus.SUCCEEDED)
    spec = json.loads((bench.folder / job.id / "spec.json").read_text())
    assert spec["initial_adapter"] == str(bench.publisher.parent(job))
    assert (spec["beta"], spec["evaluation"]) == (0.25, training)
    assert json.loads((bench.folder / first.id / "spec.json").read_text())["beta"] is None


async def test_a_job_whose_parent_was_deleted_fails_and_says_so(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, GOOD)
    job = add_job(bench, parent="ft:base:tunery::gone")
    async with working(bench):
        failed = await reached(bench, job, JobStatus.FAILED)
    assert failed.error is not None
    assert (failed.error["code"], failed.error["param"]) == ("model_not_found", "model")


@pytest.mark.promise("P13", fault="cancel while the trainer hangs")
async def test_cancelling_kills_the_trainer(
    bench: Bench, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, HANGS)
    async with working(bench):
        pid = await trainer_pid(bench, job)
        bench.jobs.change(job.id, allowed=UNFINISHED, status=JobStatus.CANCELLED)
        await until(lambda: not alive([pid]))
        await until(lambda: not bench.queue.leased())
    now = current(bench, job)
    assert (now.status, now.fine_tuned_model) == (JobStatus.CANCELLED, None)


@pytest.mark.promise("P14", fault="the worker is told to stop amid a job")
async def test_stopping_the_worker_puts_the_job_back_in_line(
    bench: Bench, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, STOPS)
    async with working(bench) as worker:
        await trainer_pid(bench, job)
        worker.stop()
        waiting = await reached(bench, job, JobStatus.QUEUED)
    assert (waiting.attempt, waiting.losses) == (1, 0)
    assert in_line(bench.queue, [job.id])
    assert bench.queue.leased() == frozenset()
    install(tmp_path, monkeypatch, GOOD)
    async with working(bench):
        assert (await reached(bench, job, JobStatus.SUCCEEDED)).attempt == 2


@pytest.mark.promise("P14", fault="the worker is told to stop twice, and its trainer does not")
async def test_a_worker_that_is_told_twice_does_not_wait_for_a_checkpoint(
    bench: Bench, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {HANGS}")
    async with working(bench) as worker:
        pid = await trainer_pid(bench, job)
        worker.stop()
        worker.stop()
        waiting = await reached(bench, job, JobStatus.QUEUED)
    assert not alive([pid])
    assert (waiting.attempt, waiting.losses) == (1, 0)
    assert in_line(bench.queue, [job.id])


async def test_a_paused_job_gives_its_device_back_and_goes_on_when_resumed(
    bench: Bench, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, STOPS)
    (bench.folder / job.id / "checkpoints").mkdir()
    async with working(bench):
        pid = await trainer_pid(bench, job)
        bench.jobs.move(job.id, PAUSE)
        paused = await reached(bench, job, JobStatus.PAUSED)
        await until(lambda: not alive([pid]) and not bench.queue.leased())
        assert (paused.attempt, paused.losses) == (1, 0)
        assert messages(bench, job)[-1].startswith("The job is paused")
        assert (bench.folder / job.id / "checkpoints").is_dir()
        install(tmp_path, monkeypatch, GOOD)
        bench.jobs.move(job.id, RESUME)
        bench.queue.enqueue(entry_of(job))
        assert (await reached(bench, job, JobStatus.SUCCEEDED)).attempt == 2


async def test_a_trainer_that_is_starting_is_stopped_as_soon_as_it_can_be(
    bench: Bench, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, HANGS)
    async with working(bench):
        await reached(bench, job, JobStatus.RUNNING)
        bench.jobs.move(job.id, PAUSE)
        await reached(bench, job, JobStatus.PAUSED)
        await until(lambda: not bench.queue.leased())


async def test_a_pause_that_is_taken_back_too_late_costs_a_turn_in_line(
    bench: Bench, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"""
    def stop(*_):
        while not (folder / 'go').exists(): time.sleep(0.01)
        say("stopped", step=1)
        sys.exit(75)
    signal.signal(signal.SIGTERM, stop)
    {HANGS}
    """
    install(tmp_path, monkeypatch, script)
    async with working(bench):
        await trainer_pid(bench, job)
        bench.jobs.move(job.id, PAUSE)
        await asyncio.sleep(0.1)
        bench.jobs.move(job.id, RESUME)
        install(tmp_path, monkeypatch, GOOD)
        (bench.folder / job.id / "go").touch()
        assert (await reached(bench, job, JobStatus.SUCCEEDED)).attempt == 2


async def test_a_trainer_that_ends_before_it_can_pause_has_ended(
    bench: Bench, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"""
    def go(*_):
        {GOOD}
        sys.exit(0)
    signal.signal(signal.SIGTERM, go)
    {HANGS}
    """
    install(tmp_path, monkeypatch, script)
    async with working(bench):
        await trainer_pid(bench, job)
        bench.jobs.move(job.id, PAUSE)
        done = await reached(bench, job, JobStatus.SUCCEEDED)
    assert done.fine_tuned_model is not None


@pytest.mark.promise("P13", fault="cancel while a job pauses, and when it is paused")
@pytest.mark.parametrize("status", [JobStatus.PAUSING, JobStatus.PAUSED])
async def test_a_job_can_be_cancelled_while_it_pauses_and_leaves_nothing(
    bench: Bench, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: JobStatus
) -> None:
    install(tmp_path, monkeypatch, HANGS if status is JobStatus.PAUSING else STOPS)
    if status is JobStatus.PAUSING:
        monkeypatch.setattr(Trainer, "stop", lambda _: None)
    async with working(bench):
        pid = await trainer_pid(bench, job)
        bench.jobs.move(job.id, PAUSE)
        await reached(bench, job, status)
        bench.jobs.change(job.id, allowed=UNFINISHED, status=JobStatus.CANCELLED)
        await until(lambda: not alive([pid]) and not bench.queue.leased())
        await until(lambda: not (bench.folder / job.id / "adapter").exists())
    assert current(bench, job).status is JobStatus.CANCELLED


@pytest.mark.promise("P5", fault="another worker holds the lease")
async def test_a_worker_whose_lease_was_taken_writes_nothing_more(
    bench: Bench,
    job: Job,
    server: "redis.Redis",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(tmp_path, monkeypatch, HANGS)
    async with working(bench):
        pid = await trainer_pid(bench, job)
        server.hset(f"{{tunery}}:job:{job.id}", "token", "another worker")
        await until(lambda: not alive([pid]))
        now = current(bench, job)
    assert now.status is JobStatus.RUNNING


@pytest.mark.promise("P9", fault="FLUSHALL while a job runs")
async def test_redis_losing_everything_is_not_noticed_by_a_running_job(
    bench: Bench,
    job: Job,
    server: "redis.Redis",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = f"step(1)\nwhile not (folder / 'go').exists(): time.sleep(0.01)\n{GOOD}"
    install(tmp_path, monkeypatch, script)
    async with working(bench):
        await until(lambda: bool(bench.history.metrics(job.id)))
        server.flushall()
        await until(lambda: job.id in bench.queue.leased())
        (bench.folder / job.id / "go").touch()
        done = await reached(bench, job, JobStatus.SUCCEEDED)
    assert (done.attempt, done.losses) == (1, 0)


@pytest.mark.promise("P10", fault="Redis has no memory left while a job runs")
async def test_a_running_job_does_not_mind_a_redis_without_room(
    bench: Bench,
    job: Job,
    server: "redis.Redis",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = f"step(1)\nwhile not (folder / 'go').exists(): time.sleep(0.01)\n{GOOD}"
    install(tmp_path, monkeypatch, script)
    brief = replace(bench, queue=RedisQueue(server, lease_s=0.5))
    async with working(brief):
        await until(lambda: bool(bench.history.metrics(job.id)))
        server.config_set("maxmemory", "1")
        try:
            await asyncio.sleep(1.5)  # three leases
            (bench.folder / job.id / "go").touch()
            done = await reached(bench, job, JobStatus.SUCCEEDED)
        finally:
            server.config_set("maxmemory", "0")
    assert (done.attempt, done.losses) == (1, 0)
    assert bench.queue.leased() == frozenset()


@pytest.mark.promise("P28", fault="the worker's clock jumps by an hour while a job runs")
@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
async def test_a_running_job_does_not_mind_what_the_clock_says(
    bench: Bench,
    job: Job,
    clock: StoppedClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    jump_s: float,
) -> None:
    script = f"step(1)\nwhile not (folder / 'go').exists(): time.sleep(0.01)\n{GOOD}"
    install(tmp_path, monkeypatch, script)
    async with working(bench):
        await until(lambda: bool(bench.history.metrics(job.id)))
        clock.now += jump_s
        await asyncio.sleep(4 * bench.renew_s)
        (bench.folder / job.id / "go").touch()
        done = await reached(bench, job, JobStatus.SUCCEEDED)
    assert (done.attempt, done.losses) == (1, 0)
    assert done.started_at is not None
    assert done.finished_at is not None
    assert done.created_at <= done.started_at <= done.finished_at


@pytest.mark.promise("P13", fault="cancel in line, behind the back of Redis")
async def test_a_job_that_was_cancelled_in_line_is_not_run(
    bench: Bench, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, GOOD)
    bench.jobs.change(job.id, allowed=UNFINISHED, status=JobStatus.CANCELLED)
    async with working(bench):
        await until(lambda: not in_line(bench.queue, [job.id]) and not bench.queue.leased())
    now = current(bench, job)
    assert (now.status, now.attempt) == (JobStatus.CANCELLED, 0)
