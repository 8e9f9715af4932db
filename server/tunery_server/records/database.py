"""One SQL database: SQLite in WAL mode, or whatever ``DATABASE_URL`` names."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event
from sqlalchemy import Engine as SqlEngine
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from tunery_server.errors import StorageFull

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_WAIT_S = 10.0
_LOCK_POLL_S = 0.01
_PRIMARY_CODE = 0xFF
"""Of SQLite's error codes the lowest byte is the kind; the others say more about it."""


class Database:
    """Hands out transactions. Blocking: call it from a thread, never from an event loop."""

    def __init__(self, url: str) -> None:
        # An error's text ends up in a log, which is no place for what clients sent.
        self._readers = create_engine(url, hide_parameters=True)
        if self._readers.dialect.name == "sqlite":
            _prepare_sqlite(self._readers)
        self._writers = self._readers.execution_options(sqlite_begin="IMMEDIATE")

    @property
    def dialect(self) -> str:
        """``sqlite``, ``postgresql`` …"""
        return self._readers.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view that waits for no writer."""
        with self._readers.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Commit at the end, roll back on an exception. Raises StorageFull when the disk is."""
        try:
            with self._writers.begin() as connection:
                yield connection
        except OperationalError as error:
            if _is_full(error):
                raise StorageFull("There is no room left on the server's disk.") from error
            raise

    def migrate(self) -> None:
        """Bring the schema to the newest revision; does nothing when it is there already."""
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self._writers.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Give back every connection."""
        self._readers.dispose()


def _is_full(error: OperationalError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & _PRIMARY_CODE == sqlite3.SQLITE_FULL


def _prepare_sqlite(engine: SqlEngine) -> None:
    """WAL lets readers go on beside a writer; a write transaction takes its lock at once.

    Without BEGIN IMMEDIATE a transaction that reads and then writes can fail with SQLITE_BUSY,
    whatever the time-out, when another process wrote in between.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("busy_timeout=10000", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        _enter_wal(cursor)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")


def _enter_wal(cursor: DBAPICursor) -> None:
    """Changing the journal of a new file needs it alone, and SQLite does not wait for that."""
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOCK_POLL_S)
