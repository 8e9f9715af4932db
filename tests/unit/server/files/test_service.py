from functools import partial
from pathlib import Path

import pytest

from tests.rows import NOW, a_job
from tunery_server.errors import InvalidRequest, NotFound
from tunery_server.files.service import FileService
from tunery_server.files.store import FileStore
from tunery_server.jobs.transitions import UNFINISHED
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import File, JobStatus

ROW = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'


@pytest.fixture
def jobs(database: Database) -> JobRecords:
    return JobRecords(database)


class Clock:
    """Time that a test moves on."""

    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(database: Database, jobs: JobRecords, tmp_path: Path, clock: Clock) -> FileService:
    return FileService(
        files=FileRecords(database),
        store=FileStore(tmp_path / "files", max_bytes=10_000),
        in_use=[partial(jobs.using_file, statuses=UNFINISHED)],
        clock=clock,
    )


def upload(service: FileService, purpose: str = "fine-tune", content: bytes = 3 * ROW) -> File:
    return service.create("acme", filename="a.jsonl", purpose=purpose, chunks=[content])


def test_a_dataset_is_counted(service: FileService) -> None:
    file = upload(service)
    assert file.examples == 3
    assert service.get("acme", file.id) == file
    assert b"".join(service.content("acme", file.id)[1]) == 3 * ROW


def test_any_other_file_is_taken_as_it_is(service: FileService) -> None:
    assert upload(service, "user_data", b"\0").examples is None


def test_a_bad_dataset_leaves_nothing(service: FileService, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        upload(service, content=b"{}\n")
    page = service.list("acme", purpose=None, after=None, limit=9, ascending=True)
    assert page.items == ()
    assert list((tmp_path / "files").iterdir()) == []


def test_expiry_counts_from_now(service: FileService) -> None:
    file = service.create(
        "acme", filename="a", purpose="evals", chunks=[b"x"], expires_after_s=3600
    )
    assert file.expires_at == NOW + 3600


def test_an_expired_file_is_gone(service: FileService, clock: Clock, tmp_path: Path) -> None:
    file = service.create(
        "acme", filename="a", purpose="evals", chunks=[b"x"], expires_after_s=3600
    )
    clock.now = NOW + 3599
    assert service.get("acme", file.id) == file
    clock.now = NOW + 3600
    with pytest.raises(NotFound):
        service.get("acme", file.id)
    assert list((tmp_path / "files").iterdir()) == []


def test_an_expired_file_waits_for_the_job_that_reads_it(
    service: FileService, jobs: JobRecords, clock: Clock
) -> None:
    file = service.create(
        "acme", filename="a", purpose="fine-tune", chunks=[3 * ROW], expires_after_s=3600
    )
    jobs.add(a_job(training_file=file.id, status=JobStatus.RUNNING))
    clock.now = NOW + 7200
    assert service.get("acme", file.id) == file


@pytest.mark.parametrize("status", sorted(JobStatus))
def test_a_file_stays_while_a_job_may_read_it(
    service: FileService, jobs: JobRecords, status: JobStatus
) -> None:
    file = upload(service)
    jobs.add(a_job(training_file=file.id, status=status))
    if status in UNFINISHED:
        with pytest.raises(InvalidRequest) as raised:
            service.delete("acme", file.id)
        assert raised.value.code == "file_in_use"
        assert service.get("acme", file.id) == file
    else:
        service.delete("acme", file.id)
        with pytest.raises(NotFound):
            service.get("acme", file.id)


def test_another_tenants_file_is_an_absent_one(service: FileService) -> None:
    file = upload(service)
    for look in (service.get, service.content, service.delete):
        with pytest.raises(NotFound):
            look("rival", file.id)
    assert service.get("acme", file.id) == file
