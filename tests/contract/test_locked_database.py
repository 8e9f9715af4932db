"""Another process keeps SQLite's lock: who writes waits, who reads does not notice."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.rows import a_file
from tunery_server.errors import RecordUnavailable
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords

LONG_S, SHORT_S = 60.0, 0.2


@pytest.fixture
def locked(database: Database, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def opened(tmp_path: Path, patience_s: float) -> FileRecords:
    return FileRecords(Database(f"sqlite:///{tmp_path / 'records.db'}", patience_s=patience_s))


def test_a_write_goes_on_when_the_lock_is_given_back(
    locked: sqlite3.Connection, tmp_path: Path
) -> None:
    files, file = opened(tmp_path, LONG_S), a_file()
    with ThreadPoolExecutor(1) as writer:
        written = writer.submit(files.add, file)
        assert files.get("acme", file.id) is None
        assert not written.done()
        locked.execute("ROLLBACK")
        written.result(LONG_S)
    assert files.get("acme", file.id) == file


def test_a_write_is_told_when_its_patience_is_out(
    locked: sqlite3.Connection, tmp_path: Path
) -> None:
    files, file = opened(tmp_path, SHORT_S), a_file()
    with pytest.raises(RecordUnavailable, match="locked"):
        files.add(file)
    locked.execute("ROLLBACK")
    files.add(file)
    assert files.get("acme", file.id) == file


def test_a_process_that_starts_then_is_told_so(locked: sqlite3.Connection, tmp_path: Path) -> None:
    starting = Database(f"sqlite:///{tmp_path / 'records.db'}", patience_s=SHORT_S)
    with pytest.raises(RecordUnavailable, match="locked"):
        starting.migrate()
