"""What earlier releases left behind, record and queue, is read, and their unfinished jobs finish.

Each pair of ``tests/releases`` was written by a release's own code; its name is the release's
newest migration.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.peft import write_peft_folder
from tests.stand_in_trainer import install
from tunery_adapters.manifest import Manifest
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Job, JobStatus
from tunery_server.worker.attempt import Bench

from .working import GOOD, reached, working

RELEASES = Path(__file__).parents[3] / "releases"
UNFINISHED = ("ftjob-" + "1".zfill(32), "ftjob-" + "2".zfill(32))
pytestmark = pytest.mark.promise("P29", fault="the record and the queue of an earlier release")


@pytest.fixture(params=sorted(path.stem for path in RELEASES.glob("*.sql")))
def release(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def database(release: str, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "records.db"
    with sqlite3.connect(path) as connection:
        connection.executescript((RELEASES / f"{release}.sql").read_text())
    database = Database(f"sqlite:///{path}")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def jobs(database: Database) -> JobRecords:
    return JobRecords(database)


@pytest.fixture
def queue(release: str, server: "redis.Redis") -> RedisQueue:
    for command in json.loads((RELEASES / f"{release}.redis.json").read_text()):
        server.execute_command(*command)
    return RedisQueue(server, lease_s=60)


def job(jobs: JobRecords, job_id: str) -> Job:
    found = jobs.get_any(job_id)
    assert found is not None
    return found


def test_everything_is_listed(jobs: JobRecords, adapters: AdapterRecords, bench: Bench) -> None:
    page = jobs.list("acme")
    assert page is not None
    assert [each.status for each in page.items] == ["cancelled", "failed", "succeeded", *_WAITING]
    adapter = adapters.list("acme")
    assert adapter is not None
    assert [each.job_id for each in adapter.items] == [page.items[2].id]
    for each in page.items:
        events = bench.history.events(each.id, after=None, limit=10)
        assert events is not None
        assert [event.sequence for event in events.items] == [1]
    assert bench.files.get("acme", page.items[0].training_file).filename == "train.jsonl"


_WAITING = ["running", "queued"]


async def test_unfinished_jobs_finish(
    bench: Bench, jobs: JobRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, GOOD)
    for job_id in UNFINISHED:
        write_peft_folder(bench.folder / job_id / "adapter")
    async with working(bench):
        for job_id in UNFINISHED:
            await reached(bench, job(jobs, job_id), JobStatus.SUCCEEDED)
    waited, ran = (job(jobs, job_id) for job_id in UNFINISHED)
    assert (waited.attempt, waited.losses) == (1, 0)
    assert (ran.attempt, ran.losses) == (2, 1)
    assert bench.queue.leased() == frozenset()


@pytest.mark.parametrize(
    "path", sorted(RELEASES.glob("*.manifest.json")), ids=lambda path: path.name
)
def test_a_manifest_is_read(path: Path) -> None:
    manifest = Manifest.model_validate_json(path.read_bytes())
    assert (manifest.schema_version, manifest.rank, manifest.tenant_id) == (1, 4, "acme")
