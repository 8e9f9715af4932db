"""The record: there, with this release's schema, and with a clock like ours."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import make_url, text

from tunery_server.config import Settings
from tunery_server.doctor.clocks import compared
from tunery_server.doctor.finding import Finding, fail, ok, warn
from tunery_server.errors import RecordUnavailable
from tunery_server.records.database import Database
from tunery_server.records.schema import Schema, read_schema

_PATIENCE_S = 3.0


def record_checks(settings: Settings, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """One line if there is none yet or it is away, else one for each thing."""
    url = make_url(settings.database)
    is_file = url.get_backend_name() == "sqlite"
    # To connect would make the file.
    if is_file and not Path(url.database or "").exists():
        yield ok("record", "there is none yet; the first start makes it")
        return
    database = Database(settings.database, patience_s=_PATIENCE_S)
    try:
        schema = read_schema(database)
        yield ok("record", f"answers ({database.dialect})")
        yield _schema(schema)
        if not is_file:
            yield _clock(database, clock)
    except RecordUnavailable as error:
        yield fail(
            "record",
            error.message,
            "stop what holds its lock"
            if is_file
            else "start PostgreSQL, or let DATABASE_URL name its host, port, user and password",
        )
    finally:
        database.close()


def _schema(schema: Schema) -> Finding:
    name = "record schema"
    if not schema.is_known:
        return fail(
            name,
            f"revision {schema.current} is unknown to this release, whose newest is "
            f"{schema.newest}",
            "install the release that made it, or restore a backup from before",
        )
    if schema.current != schema.newest:
        return warn(
            name,
            f"revision {schema.current or 'none'}, and the newest is {schema.newest}",
            "make a backup and run `tunery migrate`; the next start would migrate, too",
        )
    return ok(name, f"revision {schema.current}, the newest")


def _clock(database: Database, clock: Callable[[], float]) -> Finding:
    with database.reading() as connection:
        before = clock()
        theirs = connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
        return compared("record clock", float(theirs), before, clock())
