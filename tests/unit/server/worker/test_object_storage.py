"""A worker that shares nothing with the gateway but the record, the queue and the storage."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.object_storage import ObjectStorage, object_storage
from tests.stand_in_trainer import install
from tunery_server.config import Settings
from tunery_server.files.blobs import BlobStore
from tunery_server.files.service import FileService
from tunery_server.files.storage import file_storage
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.rows import JobStatus
from tunery_server.worker.attempt import Bench

from .working import GOOD, add_job, reached, working

_READS = """
kept = pathlib.Path(spec["training_file"])
assert kept.read_bytes() == b"x"
(folder / "read").write_text(str(kept))
"""


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStorage]:
    with object_storage(tmp_path / "storage", monkeypatch) as storage:
        yield storage


def on_machine(bench: Bench, database: Database, store: BlobStore) -> Bench:
    files = FileService(files=FileRecords(database), store=store, in_use=[], clock=bench.clock)
    return replace(bench, files=files, store=store)


async def test_a_job_is_trained_on_what_another_machine_stored(
    bench: Bench,
    database: Database,
    storage: ObjectStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(tmp_path, monkeypatch, _READS + GOOD)
    gateway, worker = (
        on_machine(
            bench, database, file_storage(Settings(home=tmp_path / name, storage=storage.url))
        )
        for name in ("gateway", "worker")
    )
    job = add_job(gateway)
    async with working(worker):
        done = await reached(worker, job, JobStatus.SUCCEEDED)
    read = Path((worker.folder / job.id / "read").read_text())
    assert read.is_relative_to(tmp_path / "worker" / "cache")
    [result] = done.result_files
    _, content = gateway.files.content("acme", result)
    assert b"".join(content).count(b"\n") == 3
