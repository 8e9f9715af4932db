"""Another process keeps SQLite's lock, or PostgreSQL is away: who asks waits a while."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from tests.postgres import PostgresServer
from tests.rows import a_file
from tunery_server.errors import RecordUnavailable, StorageFull
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords

LONG_S, SHORT_S = 60.0, 0.2


@pytest.fixture
def locked(migrated_copy: Path) -> Iterator[sqlite3.Connection]:
    other = sqlite3.connect(migrated_copy, isolation_level=None, check_same_thread=False)
    with closing(other):
        other.execute("BEGIN IMMEDIATE")
        yield other


def opened(path: Path, patience_s: float) -> FileRecords:
    return FileRecords(Database(f"sqlite:///{path}", patience_s=patience_s))


@pytest.mark.promise("P9", fault="SQLite is locked while something is written")
def test_a_write_goes_on_when_the_lock_is_given_back(
    locked: sqlite3.Connection, migrated_copy: Path
) -> None:
    files, file = opened(migrated_copy, LONG_S), a_file()
    with ThreadPoolExecutor(1) as writer:
        written = writer.submit(files.add, file)
        assert files.get("acme", file.id) is None
        assert not written.done()
        locked.execute("ROLLBACK")
        written.result(LONG_S)
    assert files.get("acme", file.id) == file


def test_a_write_is_told_when_its_patience_is_out(
    locked: sqlite3.Connection, migrated_copy: Path
) -> None:
    files, file = opened(migrated_copy, SHORT_S), a_file()
    with pytest.raises(RecordUnavailable, match="locked"):
        files.add(file)
    locked.execute("ROLLBACK")
    files.add(file)
    assert files.get("acme", file.id) == file


def test_a_process_that_starts_then_is_told_so(
    locked: sqlite3.Connection, migrated_copy: Path
) -> None:
    starting = Database(f"sqlite:///{migrated_copy}", patience_s=SHORT_S)
    with pytest.raises(RecordUnavailable, match="locked"):
        starting.migrate()


@pytest.fixture
def stopped(postgres: PostgresServer) -> Iterator[tuple[PostgresServer, Database, Database]]:
    """A server that is away, and two who have used it: a patient one and another."""
    url = postgres.new_database()
    patient, impatient = Database(url, patience_s=LONG_S), Database(url, patience_s=SHORT_S)
    for database in (patient, impatient):
        assert FileRecords(database).get("acme", "file-none") is None
    postgres.stop()
    yield postgres, patient, impatient
    postgres.resume()
    for database in (patient, impatient):
        database.close()


@pytest.mark.promise("P9", fault="PostgreSQL is killed and started again")
def test_a_server_that_restarts_is_waited_for(
    stopped: tuple[PostgresServer, Database, Database],
) -> None:
    server, patient, impatient = stopped
    file = a_file()
    with pytest.raises(RecordUnavailable, match="does not answer"):
        FileRecords(impatient).add(file)
    with ThreadPoolExecutor(1) as writer:
        written = writer.submit(FileRecords(patient).add, file)
        server.resume()
        written.result(LONG_S)
    assert FileRecords(impatient).get("acme", file.id) == file


def test_a_process_whose_connections_are_all_taken_is_told_so(migrated_copy: Path) -> None:
    database = Database(f"sqlite:///{migrated_copy}", patience_s=SHORT_S)
    with ExitStack() as others:
        for _ in range(15):  # five are kept, ten come on top: SQLAlchemy's QueuePool
            others.enter_context(database.reading())
        with pytest.raises(RecordUnavailable, match="slowly"):
            others.enter_context(database.reading())
    assert FileRecords(database).get("acme", "file-none") is None
    database.close()


def test_a_full_disk_of_a_server_is_told_as_ones_own(migrated_copy: Path) -> None:
    database = Database(f"sqlite:///{migrated_copy}")
    full = OperationalError("INSERT", {}, psycopg.errors.DiskFull("could not extend file"))
    with pytest.raises(StorageFull), database.writing():
        raise full
    database.close()
