"""A worker at work on a real record and a real queue, and its trainers' scripts."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from tests.peft import write_peft_folder
from tests.rows import a_job
from tunery_server.records.rows import Job, JobStatus
from tunery_server.worker.attempt import Bench
from tunery_server.worker.capacity import Capacity, Memory
from tunery_server.worker.loop import Worker
from tunery_server.worker.reconciler import Reconciler

GOOD = "step(1); checkpoint(1); step(2); finished(2)"
HANGS = "(folder / 'pid').write_text(str(os.getpid())); step(1); time.sleep(600)"
STOPS = f"""
def stop(*_):
    say("stopped", step=1)
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
{HANGS}
"""


@contextlib.asynccontextmanager
async def working(bench: Bench, slots: int = 1) -> AsyncIterator[Worker]:
    reconciler = Reconciler(
        jobs=bench.jobs,
        history=bench.history,
        queue=bench.queue,
        line=bench.line,
        max_attempts=3,
        clock=bench.clock,
    )
    capacity = Capacity(slots=slots, measure=Memory, timer=time.monotonic)
    worker = Worker(bench, reconciler, capacity, patience_s=3600)
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        async with asyncio.timeout(10):
            await running


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; fail when it does not in time."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of the record, of Redis, of another process
            await asyncio.sleep(0.01)


async def reached(bench: Bench, job: Job, *statuses: JobStatus) -> Job:
    await until(lambda: current(bench, job).status in statuses)
    return current(bench, job)


def current(bench: Bench, job: Job) -> Job:
    now = bench.jobs.get_any(job.id)
    assert now is not None
    return now


async def trainer_pid(bench: Bench, job: Job) -> int:
    """The trainer's process, once it has made its first step."""
    await until(lambda: bool(bench.history.metrics(job.id)))
    return int((bench.folder / job.id / "pid").read_text())


def messages(bench: Bench, job: Job) -> list[str]:
    page = bench.history.events(job.id, after=None, limit=100)
    assert page is not None
    return [event.message for event in reversed(page.items)]


def add_job(bench: Bench, **values: object) -> Job:
    """A job in line whose trainer finds its adapter made already."""
    tenant = str(values.get("tenant_id", "acme"))
    file = bench.files.create(tenant, filename="a", purpose="user_data", chunks=[b"x"])
    job = a_job(training_file=file.id, **values)
    bench.jobs.add(job)
    bench.line.put(job)
    write_peft_folder(bench.folder / job.id / "adapter")
    return job
