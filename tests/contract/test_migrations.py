"""The migrations build what ``tables.py`` says, however often and by however many."""

import multiprocessing
from dataclasses import asdict
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, inspect, select, text

from tests.postgres import ON_SQLITE
from tests.rows import a_file
from tunery_server.errors import StorageFull
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.tables import files, metadata


def test_the_schema_is_that_of_the_tables(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        tables = set(inspect(connection).get_table_names())
    assert tables == {*metadata.tables, "alembic_version"}


def test_migrating_twice_is_harmless(database: Database) -> None:
    file = a_file()
    FileRecords(database).add(file)
    database.migrate()
    assert FileRecords(database).get("acme", file.id) == file


@ON_SQLITE
def test_sqlite_keeps_what_it_has_confirmed(database: Database) -> None:
    with database.reading() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_an_exception_rolls_back(database: Database) -> None:
    file = a_file()

    def fail_after_a_write() -> None:
        with database.writing() as connection:
            connection.execute(insert(files).values(asdict(file)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_a_write()
    assert FileRecords(database).get("acme", file.id) is None


@ON_SQLITE
@pytest.mark.promise("P11", fault="the record has no room")
def test_a_full_disk_is_told(database: Database) -> None:
    """SQLite counts pages as it would count a disk's."""

    def write_until_full() -> None:
        with database.writing() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))
            for _ in range(1000):
                connection.execute(insert(files).values(asdict(a_file())))

    with pytest.raises(StorageFull):
        write_until_full()
    with database.reading() as connection:
        assert connection.execute(select(files)).all() == []


@pytest.mark.parametrize("attempt", range(3))
def test_several_processes_migrate_at_once(tmp_path: Path, attempt: int) -> None:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    forking = multiprocessing.get_context("fork")
    together = forking.Barrier(4)
    processes = [forking.Process(target=_migrate, args=(url, together)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0] * 4


def _migrate(url: str, together: Barrier) -> None:
    together.wait(20)
    database = Database(url)
    database.migrate()
    database.close()
