"""One SQL database: SQLite in WAL mode, or the PostgreSQL that ``DATABASE_URL`` names."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy import Engine as SqlEngine
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from tunery_server.errors import RecordUnavailable, StorageFull, TuneryError
from tunery_server.records.locks import Lock, hold
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
PATIENCE_S = 10.0
_POLL_S = 0.01
_CACHE_KIB = 512
"""Of each connection to SQLite, which fills it as the file grows and forgets it when another one
writes; the kernel's own cache holds the file anyway."""
_READING: dict[str, dict[str, Any]] = {
    "sqlite": {"sqlite_begin": "DEFERRED"},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}
_CONNECTING: dict[str, dict[str, Any]] = {"postgresql": {"connect_timeout": int(PATIENCE_S)}}
"""A host that drops packets is as good as away: libpq itself would wait for minutes."""
_PRIMARY_CODE = 0xFF
"""Of SQLite's error codes the lowest byte is the kind; the others say more about it."""
_POSTGRES_DISK_FULL = "53100"
"""PostgreSQL documentation, appendix A, "PostgreSQL Error Codes"."""


class Database:
    """Hands out transactions. Blocking: call it from a thread, never from an event loop.

    A transaction that cannot begin, for the server is away or another process holds SQLite's lock,
    is begun again for ``patience_s``, and then raises RecordUnavailable. So does one that waits as
    long for others of this process to give a connection back.
    """

    def __init__(self, url: str, *, patience_s: float = PATIENCE_S) -> None:
        # An error's text ends up in a log, which is no place for what clients sent. A connection is
        # tried before it is used, for a server that was restarted says nothing by itself.
        self._writers = create_engine(
            _with_driver(url),
            hide_parameters=True,
            poolclass=QueuePool,
            pool_pre_ping=True,
            pool_timeout=patience_s,
            connect_args=_CONNECTING.get(_with_driver(url).get_backend_name(), {}),
        )
        self._patience_s = patience_s
        if self.dialect == "sqlite":
            _prepare_sqlite(self._writers, wait_s=min(patience_s, PATIENCE_S))
        self._readers = self._writers.execution_options(**_READING[self.dialect])

    @property
    def dialect(self) -> str:
        """``sqlite``, ``postgresql`` …"""
        return self._writers.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view that waits for no writer. Raises RecordUnavailable."""
        with self._transaction(self._readers) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Commit at the end, roll back on an exception.

        Raises StorageFull when the disk is, and RecordUnavailable.
        """
        with self._transaction(self._writers) as connection:
            yield connection

    def migrate(self) -> None:
        """Bring the schema to the newest revision; does nothing when it is there already.

        Raises RecordUnavailable.
        """
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.writing() as connection:
            hold(connection, Lock.MIGRATE)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Give back every connection."""
        self._writers.dispose()

    @contextmanager
    def _transaction(self, engine: SqlEngine) -> Iterator[Connection]:
        try:
            with ExitStack() as stack:
                yield self._begun(engine, stack)
        except PoolTimeout as error:
            raise RecordUnavailable("The server's database answers too slowly.") from error
        except (OperationalError, sqlite3.OperationalError) as error:
            known = _known(error)
            if known is None:
                raise
            raise known from error

    def _begun(self, engine: SqlEngine, stack: ExitStack) -> Connection:
        deadline = time.monotonic() + self._patience_s
        waiting = False
        while True:
            try:
                return stack.enter_context(engine.begin())
            except (OperationalError, sqlite3.OperationalError) as error:
                away = _known(error)
                if not isinstance(away, RecordUnavailable) or time.monotonic() > deadline:
                    raise
                if not waiting:
                    log.warning("waiting for the database", reason=away.message)
                waiting = True
                time.sleep(_POLL_S)


def _with_driver(url: str) -> URL:
    """``postgres://`` and ``postgresql://`` are what people write and providers hand out."""
    parsed = make_url(url)
    if parsed.drivername in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _known(error: OperationalError | sqlite3.OperationalError) -> TuneryError | None:
    """What it means for whoever asked; None for a mistake of ours."""
    cause = error.orig if isinstance(error, OperationalError) else error
    if getattr(cause, "sqlstate", None) == _POSTGRES_DISK_FULL:
        return _no_room()
    if not isinstance(cause, sqlite3.Error):  # a database server's: lost, starting, stopping
        return RecordUnavailable("The server's database does not answer.")
    match cause.sqlite_errorcode & _PRIMARY_CODE:
        case sqlite3.SQLITE_FULL:
            return _no_room()
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return RecordUnavailable("The server's database is locked by another process.")
        case _:
            return None


def _no_room() -> StorageFull:
    return StorageFull("There is no room left on the server's disk.")


def _prepare_sqlite(engine: SqlEngine, *, wait_s: float) -> None:
    """WAL lets readers go on beside a writer; a write transaction takes its lock at once.

    Without BEGIN IMMEDIATE a transaction that reads and then writes can fail with SQLITE_BUSY,
    whatever the time-out, when another process wrote in between.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        busy_timeout = f"busy_timeout={round(wait_s * 1000)}"
        cache = f"cache_size=-{_CACHE_KIB}"
        for pragma in (busy_timeout, cache, "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        _enter_wal(cursor, wait_s)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
        connection.exec_driver_sql(f"BEGIN {mode}")


def _enter_wal(cursor: DBAPICursor, wait_s: float) -> None:
    """Changing the journal of a new file needs it alone, and SQLite does not wait for that."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
