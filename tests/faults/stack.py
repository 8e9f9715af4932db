"""A whole server in pieces that a test kills one by one; only the engine is scripted.

Valkey, the record (SQLite), gateway and worker are the real processes on a data folder of their
own, the trainer is the real one on a random model with two layers. So a job takes about as long as
its trainer needs to import torch, and is byte for byte the same every time::

    with started(tmp_path, tiny_model) as stack:      # Valkey and the engine run
        stack.worker.start("train.step@5:kill_parent")  # tunery_adapters/fault.py has all points
        job = stack.submit()                          # as the gateway does it, in this process
        stack.worker.wait_killed(60)
        stack.worker.start()
        job = stack.end_of(job.id)
        invariants.hold(stack, job)

Start ``stack.gateway`` where its own death or the wire matters, and use ``stack.http()``. A second
worker is ``stack.another_worker()``. Everything has ended when the context is left.
"""

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2
import redis
from openai import OpenAI

from tests.engines import Fault
from tests.faults.piece import Piece
from tests.queues import until
from tests.servers import free_port
from tunery_server.config import Settings
from tunery_server.files.arrival import NewFile
from tunery_server.files.sweeper import MARGIN_S
from tunery_server.gateway.app import create_app
from tunery_server.gateway.auth import ALL_SCOPES, new_key
from tunery_server.gateway.deps import Services
from tunery_server.jobs.request import JobRequest
from tunery_server.jobs.transitions import FINAL
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.keys import KeyRecords
from tunery_server.records.rows import File, Job
from tunery_server.records.tenant_rows import TenantPolicy
from tunery_server.records.tenants import TenantPolicies
from tunery_server.supervisor.home import DEFAULT_TENANT, prepare, prepare_engine
from tunery_server.supervisor.valkey import valkey_command

LEASE_S = 5.0
START_S = 180.0
JOB_S = 480.0
"""How long anything may take on a machine that has other things to do."""

EPOCHS, BATCH_SIZE, ROWS = 3, 4, 12
STEPS_PER_EPOCH = ROWS // BATCH_SIZE
HYPERPARAMETERS = {"n_epochs": EPOCHS, "batch_size": BATCH_SIZE, "learning_rate_multiplier": 1.0}
"""Three epochs of three steps: a checkpoint after each, and a version of it."""

_ALEMBIC = threading.Lock()
"""It migrates one database of a process at a time."""

ValkeyCommand = Callable[[Path, Path], Sequence[str]]
"""Command line of a server that persists into a folder and listens on a socket."""


def rows() -> bytes:
    """A training file."""
    lines = (
        {
            "messages": [
                {"role": "user", "content": f"Ticket {number}: please look at it"},
                {"role": "assistant", "content": ("billing", "shipping")[number % 2]},
            ]
        }
        for number in range(ROWS)
    )
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The pieces, and the record and the queue as this process sees them."""

    settings: Settings
    environment: dict[str, str]
    valkey: Piece
    engine: Piece
    gateway: Piece
    workers: list[Piece]
    jobs: JobRecords
    history: JobHistory
    adapters: AdapterRecords
    services: Services
    """The gateway's, composed by itself, in this process."""
    queue: RedisQueue
    redis: "redis.Redis"

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def worker(self) -> Piece:
        return self.workers[0]

    @property
    def pieces(self) -> list[Piece]:
        return [*self.workers, self.gateway, self.engine, self.valkey]

    def another_worker(self) -> Piece:
        """One more, not yet started."""
        self.workers.append(
            _tunery("worker", self.home, self.environment, number=len(self.workers))
        )
        return self.workers[-1]

    def start_valkey(self) -> None:
        """The first time or again; returns when it answers."""
        self.valkey.start()
        until(self._valkey_answers, within_s=START_S)

    def start_engine(self) -> None:
        """As a new engine, which knows no adapter; returns when it listens."""
        prepare_engine(self.settings)
        self.engine.start()
        until(self._engine_listens, within_s=START_S)

    def start_gateway(self, fault: str | None = None) -> None:
        """Returns when it listens."""
        self.gateway.start(fault)
        until(self._gateway_answers, within_s=START_S)

    def order(self, fault: Fault, **more: float) -> None:
        """What the engine does with every request from now on; ``NONE`` lets go of all it holds.

        ``more`` sets its ``tokens``, ``after`` and ``pace_s``.
        """
        with self._engine_client() as client:
            client.post("/fault", json={"fault": fault.name, **more}).raise_for_status()

    def engine_runs(self) -> int:
        """How many requests the engine works on."""
        return self.engine_counts()["running"]

    def engine_counts(self) -> dict[str, int]:
        """That, as ``running``, and ``seen``: how many there were since it started."""
        with self._engine_client() as client:
            counts: dict[str, int] = client.get("/running").json()
        return counts

    def new_key(self, tenant: str, **limits: int) -> str:
        """A key of a tenant, with every scope, whose limits are these."""
        secret, key = new_key(tenant, "test", ALL_SCOPES, time.time())
        database = Database(self.settings.database)
        KeyRecords(database).add(key)
        if limits:
            TenantPolicies(database, TenantPolicy(tenant_id="")).set(tenant, **limits)
        database.close()
        return secret

    def _engine_client(self) -> httpx2.Client:
        transport = httpx2.HTTPTransport(uds=str(self.settings.engine_socket))
        return httpx2.Client(transport=transport, base_url="http://engine")

    def openai(self, kind: type[OpenAI] = OpenAI) -> OpenAI:
        """The stock client, or ours."""
        return kind(base_url=f"{self.url}/v1", api_key=self.admin_key, max_retries=0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def admin_key(self) -> str:
        return self.settings.admin_key_file.read_text().strip()

    def http(self, key: str | None = None) -> httpx2.Client:
        """To the gateway, with the admin key unless another one is given."""
        headers = {"Authorization": f"Bearer {key or self.admin_key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=START_S)

    def post_file(self) -> httpx2.Response:
        """The training file, to the running gateway."""
        with self.http() as client:
            return client.post(
                "/v1/files",
                data={"purpose": "fine-tune"},
                files={"file": ("rows.jsonl", rows())},
            )

    def upload(self) -> File:
        """The training file, by the gateway's own service in this process."""
        new = NewFile(tenant_id=DEFAULT_TENANT, filename="rows.jsonl", purpose="fine-tune")
        with self.services.files.incoming(DEFAULT_TENANT) as incoming:
            incoming.write(rows())
            return self.services.files.receive(incoming, new)

    def submit(self, **changes: object) -> Job:
        """A job, by the gateway's own service: always the same work, unless it is changed."""
        asked = {**self._asked(), **HYPERPARAMETERS, **changes}
        return self.services.jobs.create(DEFAULT_TENANT, JobRequest(**asked))  # type: ignore[arg-type]

    def request(self) -> dict[str, object]:
        """The body of a request for the same job."""
        return {**self._asked(), "hyperparameters": HYPERPARAMETERS}

    def _asked(self) -> dict[str, object]:
        model, file = self.settings.base_model_name, self.upload()
        return {"model": model, "training_file": file.id, "seed": 7}

    def job(self, job_id: str) -> Job:
        job = self.jobs.get_any(job_id)
        assert job is not None
        return job

    def job_when(
        self, job_id: str, holds: Callable[[Job], bool], *, within_s: float = JOB_S
    ) -> Job:
        """The job once a condition holds; fails, with the worker's log, when it does not."""
        deadline = time.monotonic() + within_s
        while not holds(job := self.job(job_id)):
            said = "\n".join(worker.log[-3000:] for worker in self.workers)
            assert time.monotonic() < deadline, f"the job is {job}\n{said}"
            time.sleep(0.02)
        return job

    def end_of(self, job_id: str, *, within_s: float = JOB_S) -> Job:
        """The job in its final state."""
        return self.job_when(job_id, lambda job: job.status in FINAL, within_s=within_s)

    def at_step(self, job_id: str, step: int = 1) -> Job:
        """The job when its trainer has told of a step."""
        return self.job_when(job_id, lambda job: (job.progress or {}).get("step", 0) >= step)

    def age(self, path: Path) -> None:
        """Make a file look as if it had been written to hours ago."""
        moment = time.time() - 4 * MARGIN_S
        os.utime(path, (moment, moment))

    def _valkey_answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.redis.ping())
        return False

    def _engine_listens(self) -> bool:
        assert self.engine.running, self.engine.log[-3000:]
        return self.settings.engine_socket.exists()

    def _gateway_answers(self) -> bool:
        assert self.gateway.running, self.gateway.log[-3000:]
        with contextlib.suppress(httpx2.TransportError):
            return self.http().get("/livez").status_code == httpx2.codes.OK
        return False


@contextlib.contextmanager
def started(
    home: Path,
    base_model: Path,
    *,
    valkey: ValkeyCommand = valkey_command,
    engine: str = "tests.faults.engine_process",
    **settings: str,
) -> Iterator[Stack]:
    """A stack on ``home``, of which Valkey and the engine run; ``settings`` as TUNERY_NAME="4".

    ``engine`` is a module that is run with the path of the socket to listen on.
    """
    stack = _composed(home, base_model, valkey, engine, settings)
    try:
        stack.start_valkey()
        stack.start_engine()
        yield stack
    finally:
        for piece in stack.pieces:
            piece.kill()


def _composed(
    home: Path, base_model: Path, valkey: ValkeyCommand, engine: str, changes: dict[str, str]
) -> Stack:
    given = _settings(home, base_model) | changes
    machine = {name: value for name, value in os.environ.items() if not name.startswith("TUNERY_")}
    environment = machine | given
    settings = Settings(
        **{name.removeprefix("TUNERY_").lower(): value for name, value in given.items()}  # type: ignore[arg-type]
    )
    with _ALEMBIC:
        prepare(settings)
    database = Database(settings.database)
    client = redis.Redis.from_url(settings.redis)
    queue = RedisQueue(client, lease_s=settings.lease_s)
    return Stack(
        settings=settings,
        environment=environment,
        valkey=Piece(
            "valkey",
            valkey(home / "valkey", settings.valkey_socket),
            environment,
            home / "valkey.log",
        ),
        engine=Piece(
            "engine",
            [sys.executable, "-m", engine, str(settings.engine_socket)],
            environment,
            home / "engine.log",
        ),
        gateway=_tunery("gateway", home, environment),
        workers=[_tunery("worker", home, environment)],
        jobs=JobRecords(database),
        history=JobHistory(database),
        adapters=AdapterRecords(database),
        services=create_app(settings).state.services,
        queue=queue,
        redis=client,
    )


def _settings(home: Path, base_model: Path) -> dict[str, str]:
    return {
        "TUNERY_HOME": str(home),
        "TUNERY_PORT": str(free_port()),
        "TUNERY_MODEL": str(base_model),
        "TUNERY_SERVED_MODEL_NAME": "tiny",
        "TUNERY_MAX_MODEL_LEN": "256",
        "TUNERY_LEASE_S": str(LEASE_S),
        "TUNERY_TRAINER_THREADS": "1",
        "TUNERY_DEVICE": "cpu",
    }


def _tunery(name: str, home: Path, environment: dict[str, str], number: int = 0) -> Piece:
    command = [sys.executable, "-m", "tunery_server", name]
    return Piece(name, command, environment, home / f"{name}-{number}.log")
