"""How late an event of a job is on a screen, and what its watchers cost their gateway.

``python benchmarks/job_events.py [watchers] [seconds]``: a gateway of its own on SQLite; a job that
takes more than three steps a second; ``tunery jobs watch --json`` and other watchers, which only
read. A delay is from the commit of an event to its line on the command's output. CPU and queries
are the gateway's: without a watcher, beside a job that does nothing, and while it takes steps.
"""

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import sqlalchemy
import uvicorn

from tunery_server.config import Settings
from tunery_server.gateway.app import create_app, http_options
from tunery_server.gateway.auth import TENANT_SCOPES, new_key
from tunery_server.ids import new_id
from tunery_server.records.database import Database
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.keys import KeyRecords
from tunery_server.records.rows import HELD, Job, JobStatus
from tunery_server.telemetry.logging import configure

PORT = 18473
STEP_S = 0.29
"""No multiple of the pace at which the gateway looks: a delay may be any."""
_TICKS = os.sysconf("SC_CLK_TCK")


def gateway(settings: Settings, asked: Connection) -> None:
    """Serve; tell how many queries there were each time that somebody asks."""
    queries = 0

    @sqlalchemy.event.listens_for(sqlalchemy.Engine, "before_cursor_execute")
    def _count(*_: object) -> None:
        nonlocal queries
        queries += 1

    def tell() -> None:
        while asked.recv():
            asked.send(queries)

    threading.Thread(target=tell, daemon=True).start()
    configure(settings.log_level, process="gateway")
    app = create_app(settings)
    uvicorn.run(app, port=settings.port, **http_options(settings, app))


def readers(request: bytes, count: int) -> None:
    """Open ``count`` streams and read them."""

    async def read() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        writer.write(request)
        while await reader.read(2**16):
            pass

    async def all_of_them() -> None:
        await asyncio.gather(*(read() for _ in range(count)))

    asyncio.run(all_of_them())


class Bench:
    """The record with a running job, as its worker writes it."""

    def __init__(self, settings: Settings) -> None:
        database = Database(settings.database)
        database.migrate()
        self.secret, key = new_key("bench", "bench", TENANT_SCOPES, time.time())
        KeyRecords(database).add(key)
        self._history, self._jobs = JobHistory(database), JobRecords(database)
        self.job_id = self._jobs.add(_job())
        self.committed: dict[int, float] = {}

    def steps(self, seconds: float) -> None:
        """Take steps for so long."""
        for step in range(1, round(seconds / STEP_S) + 1):
            data = {"step": step, "total_steps": 999, "train_loss": 1.0, "tokens_per_s": 1.0}
            self._history.add_event(
                self.job_id,
                event_id=new_id("ftevent-"),
                created_at=time.time(),
                message=f"Step {step}",
                type="metrics",
                data=data,
                attempt=1,
            )
            self.committed[step] = time.monotonic()
            time.sleep(STEP_S)

    def end(self) -> None:
        """The job fails."""
        self._jobs.change(
            self.job_id, allowed=HELD, status=JobStatus.FAILED, finished_at=time.time()
        )


def _job() -> Job:
    return Job(
        id=new_id("ftjob-"),
        tenant_id="bench",
        status=JobStatus.RUNNING,
        attempt=1,
        model="base",
        training_file="file-x",
        validation_file=None,
        suffix=None,
        seed=1,
        hyperparameters={"n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 1.0},
        lora={},
        metadata=None,
        created_at=time.time(),
    )


class Cost:
    """CPU and queries of the gateway since the last look."""

    def __init__(self, pid: int, ask: Connection) -> None:
        self._pid, self._ask = pid, ask
        self._at, self._cpu_s, self._queries = self._now()

    def row(self, what: str) -> str:
        """One line of the table, for the time since the last one."""
        at, cpu_s, queries = self._now()
        seconds = at - self._at
        cpu = (cpu_s - self._cpu_s) / seconds
        per_second = (queries - self._queries) / seconds
        self._at, self._cpu_s, self._queries = at, cpu_s, queries
        return f"{what:12} {cpu:8.1%} of a core {per_second:8.1f} queries/s\n"

    def _now(self) -> tuple[float, float, int]:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        self._ask.send(True)
        return time.monotonic(), (int(fields[11]) + int(fields[12])) / _TICKS, self._ask.recv()


@contextmanager
def screen(bench: Bench, seen: dict[int, float]) -> Iterator[None]:
    """``tunery jobs watch``; when each step's line was there."""
    environment = {
        **os.environ,
        "TUNERY_BASE_URL": f"http://127.0.0.1:{PORT}/v1",
        "TUNERY_API_KEY": bench.secret,
    }
    command = [sys.executable, "-m", "tunery", "jobs", "watch", bench.job_id, "--json"]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )

    def read() -> None:
        for line in process.stdout or ():
            if step := (json.loads(line).get("data") or {}).get("step"):
                seen[step] = time.monotonic()

    reading = threading.Thread(target=read)
    reading.start()
    try:
        yield
    finally:
        reading.join(30)
        process.kill()
        process.wait()


def main(watchers: int = 100, seconds: float = 20.0) -> None:
    """Print the table."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            home=Path(folder), port=PORT, served_model_name="base", log_level="error"
        )
        bench, (ask, asked) = Bench(settings), spawn.Pipe()
        serving = spawn.Process(target=gateway, args=(settings, asked), daemon=True)
        serving.start()
        time.sleep(5)
        path = f"/v1/fine_tuning/jobs/{bench.job_id}/events?stream=true"
        head = f"Host: x\r\nAuthorization: Bearer {bench.secret}\r\n\r\n"
        request = f"GET {path} HTTP/1.1\r\n{head}".encode()
        seen: dict[int, float] = {}
        cost = Cost(serving.pid or 0, ask)
        time.sleep(seconds / 4)
        sys.stdout.write(cost.row("nobody"))
        reading = spawn.Process(target=readers, args=(request, watchers - 1), daemon=True)
        with screen(bench, seen):
            reading.start()
            time.sleep(5)
            cost.row("")
            time.sleep(seconds / 2)
            sys.stdout.write(cost.row(f"{watchers} silent"))
            bench.steps(seconds)
            sys.stdout.write(cost.row(f"{watchers} stepping"))
            bench.end()
        delays = sorted(seen[step] - at for step, at in bench.committed.items())
        half, most = (delays[len(delays) * share // 100] for share in (50, 95))
        sys.stdout.write(
            f"{len(delays)} events: p50 {half * 1000:.0f} ms, p95 {most * 1000:.0f} ms\n"
        )
        reading.kill()
        serving.kill()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
