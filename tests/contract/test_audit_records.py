"""The audit log stands and falls with what it tells of, and does not change."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import SQLAlchemyError

from tests.postgres import ON_SQLITE
from tests.rows import a_batch, a_file, a_job, a_key, a_tenant
from tunery_server.errors import InvalidRequest, Unauthenticated
from tunery_server.records.actor import Actor, acting
from tunery_server.records.audit import AuditFilter, AuditRecords
from tunery_server.records.batches import BatchRecords
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.jobs import JobRecords
from tunery_server.records.keys import KeyRecords
from tunery_server.records.projects import ProjectRecords
from tunery_server.records.rights import ALL_SCOPES
from tunery_server.records.rows import ApiKey, BatchStatus, JobStatus
from tunery_server.records.tables import audit_log
from tunery_server.records.tenant_rows import AuditEntry

NOW = 5000.0
SOMEBODY = Actor(user="root", clock=lambda: NOW)


def entries(database: Database) -> tuple[AuditEntry, ...]:
    return AuditRecords(database).list(AuditFilter(), limit=100).items


def test_a_deed_is_written_with_its_change(database: Database) -> None:
    file = a_file()
    with acting(SOMEBODY):
        FileRecords(database).add(file)
        FileRecords(database).delete("acme", file.id)
        FileRecords(database).delete("acme", file.id)
    FileRecords(database).add(a_file())  # the server's own
    told = sorted((entry.type, entry.object_id, entry.user) for entry in entries(database))
    assert told == [("file.created", file.id, "root"), ("file.deleted", file.id, "root")]
    assert {entry.created_at for entry in entries(database)} == {NOW}


@ON_SQLITE
def test_what_cannot_be_written_down_is_not_done(database: Database) -> None:
    file, key = a_file(), a_key()
    FileRecords(database).add(file)
    with database.writing() as connection:
        connection.execute(text("DROP TABLE audit_log"))
    with acting(SOMEBODY):
        with pytest.raises(SQLAlchemyError):
            FileRecords(database).delete("acme", file.id)
        with pytest.raises(SQLAlchemyError):
            KeyRecords(database).add(key)
    assert FileRecords(database).get("acme", file.id) == file
    assert KeyRecords(database).get(key.id) is None


def test_an_entry_does_not_change(database: Database) -> None:
    with acting(SOMEBODY):
        FileRecords(database).add(a_file())

    def forge() -> None:
        with database.writing() as connection:
            connection.execute(update(audit_log).values(user="nobody"))

    with pytest.raises(SQLAlchemyError, match="does not change"):
        forge()
    assert [entry.user for entry in entries(database)] == ["root"]


def test_nothing_of_an_archived_tenant_is_started(database: Database) -> None:
    projects, jobs, batches = ProjectRecords(database), JobRecords(database), BatchRecords(database)
    tenant = a_tenant()
    projects.add(tenant, {})
    key, job = a_key(tenant_id=tenant.id), a_job(tenant_id=tenant.id)
    other, batch = a_job(), a_batch(tenant_id=tenant.id)
    KeyRecords(database).add(key)
    for one in (job, other):
        jobs.add(one)
    batches.add(batch)

    def startable() -> tuple[set[str], list[str], bool]:
        waiting = batches.unleased({BatchStatus.VALIDATING}, now=NOW)
        key_opens = KeyRecords(database).by_digest(key.digest) is not None
        return set(jobs.startable_ids()), [one.id for one in waiting], key_opens

    assert startable() == ({job.id, other.id}, [batch.id], True)
    projects.archive(tenant.id, now=NOW)
    assert startable() == ({other.id}, [], False)
    assert jobs.start(job, now=NOW) is None
    with pytest.raises(InvalidRequest):
        KeyRecords(database).add(a_key(tenant_id=tenant.id))
    projects.restore(tenant.id)
    assert startable() == ({job.id, other.id}, [batch.id], True)
    started = jobs.start(job, now=NOW)
    assert started is not None
    assert started.status is JobStatus.RUNNING


@pytest.mark.parametrize("attempt", range(5))
def test_of_two_administrators_who_end_each_other_one_remains(
    database: Database, attempt: int
) -> None:
    pair = [a_key(scopes=ALL_SCOPES), a_key(scopes=ALL_SCOPES)]
    for key in pair:
        KeyRecords(database).add(key)
    together = Barrier(2)

    def end(own: ApiKey, other: ApiKey) -> bool:
        with acting(Actor(key_id=own.id, tenant_id="acme", clock=lambda: NOW)):
            together.wait(10)
            try:
                return KeyRecords(database).revoke(other.id, now=NOW)
            except Unauthenticated:
                return False

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(end, pair, reversed(pair))) == 1
    left = KeyRecords(database).administrators(after=None, limit=10, ascending=True).items
    assert len(left) == 1
