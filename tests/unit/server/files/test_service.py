import os
from functools import partial
from pathlib import Path

import pytest

from tests.rows import NOW, a_job
from tests.unit.server.files.clock import Clock
from tunery_server.errors import InvalidRequest, NotFound, QuotaExceeded
from tunery_server.files.arrival import NewFile
from tunery_server.files.service import FileService
from tunery_server.files.store import FileStore
from tunery_server.files.sweeper import MARGIN_S
from tunery_server.jobs.transitions import UNFINISHED
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.jobs import JobRecords
from tunery_server.records.quota import Quota
from tunery_server.records.rows import File, JobStatus

ROW = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'


@pytest.fixture
def jobs(database: Database) -> JobRecords:
    return JobRecords(database)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files", max_bytes=10_000)


@pytest.fixture
def service(database: Database, jobs: JobRecords, store: FileStore, clock: Clock) -> FileService:
    return FileService(
        files=FileRecords(database),
        store=store,
        in_use=[partial(jobs.using_file, statuses=UNFINISHED)],
        quota=lambda _: Quota(files=3, bytes=1000, pending_uploads=1),
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


def receive(service: FileService, content: bytes = b"x", tenant_id: str = "acme") -> File:
    """What a client's upload comes to."""
    new = NewFile(tenant_id=tenant_id, filename="a", purpose="evals", expires_after_s=3600)
    with service.incoming(tenant_id) as incoming:
        incoming.write(content)
        return service.receive(incoming, new)


def names(store: FileStore) -> set[str]:
    return set(store.untouched_since(float("inf")))


def test_a_tenant_keeps_so_many_files(service: FileService, store: FileStore) -> None:
    files = [receive(service) for _ in range(3)]
    with pytest.raises(QuotaExceeded):
        service.incoming("acme")
    receive(service, tenant_id="rival")
    service.delete("acme", files[0].id)
    receive(service)
    assert len(names(store)) == 4


def test_a_tenant_keeps_so_many_bytes(service: FileService, store: FileStore) -> None:
    receive(service, bytes(400))
    with pytest.raises(QuotaExceeded):
        receive(service, bytes(601))
    assert len(names(store)) == 1, "what was refused is gone"
    assert receive(service, bytes(600)).bytes == 600


def test_two_uploads_at_once_do_not_share_the_last_place(
    service: FileService, store: FileStore
) -> None:
    receive(service)
    receive(service)
    new = NewFile(tenant_id="acme", filename="a", purpose="evals")
    with service.incoming("acme") as one, service.incoming("acme") as two:
        service.receive(one, new)
        with pytest.raises(QuotaExceeded):
            service.receive(two, new)
    assert len(names(store)) == 3


def test_what_has_expired_makes_room(service: FileService, clock: Clock) -> None:
    for _ in range(3):
        receive(service)
    clock.now += 3600
    receive(service)


def test_the_servers_own_files_are_not_refused(service: FileService) -> None:
    for _ in range(3):
        receive(service)
    assert upload(service, "fine-tune-results", b"step").bytes == 4


def age(store: FileStore, name: str, written_at: float) -> None:
    os.utime(store.path(name), (written_at, written_at))


def test_bytes_without_a_record_are_swept_when_they_are_old(
    service: FileService, store: FileStore, clock: Clock
) -> None:
    kept = upload(service)
    with store.incoming() as incoming:
        (abandoned := store.path(".x.incoming")).write_bytes(b"half")
        for name in ("file-old", "file-new"):
            store.path(name).write_bytes(b"renamed, not recorded")
        age(store, "file-old", NOW - MARGIN_S - 1)
        age(store, "file-new", NOW - MARGIN_S)
        age(store, abandoned.name, NOW - MARGIN_S - 1)
        age(store, kept.id, NOW - 10 * MARGIN_S)
        age(store, incoming.path.name, NOW)
        service.sweep()
        assert names(store) == {kept.id, "file-new", incoming.path.name}


def test_sweeping_removes_what_has_expired(
    service: FileService, store: FileStore, clock: Clock
) -> None:
    receive(service)
    clock.now += 3600
    service.sweep()
    assert names(store) == set()


def test_a_file_whose_bytes_are_gone_is_absent(service: FileService, store: FileStore) -> None:
    """Another request deletes it between the look and the opening."""
    file = upload(service)
    store.delete(file.id)
    with pytest.raises(NotFound):
        service.content("acme", file.id)
