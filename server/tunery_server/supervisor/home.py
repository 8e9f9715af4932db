"""The data folder and the first key."""

import os
import secrets
import time

from tunery_server.config import Settings
from tunery_server.gateway.auth import ALL_SCOPES, new_key
from tunery_server.records.database import Database
from tunery_server.records.keys import KeyRecords

DEFAULT_TENANT = "default"


def prepare(settings: Settings) -> bool:
    """Make the folder, the schema and, the first time, an admin key; returns whether it did.

    The key's file comes last: without it, the next start makes another key.
    """
    for folder in (settings.home, settings.runtime_dir, settings.home / "valkey"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    database = Database(settings.database)
    try:
        database.migrate()
        if settings.admin_key_file.exists():
            return False
        secret, key = new_key(DEFAULT_TENANT, "admin", ALL_SCOPES, time.time())
        KeyRecords(database).add(key)
        _write_private(settings.admin_key_file, secret + "\n")
        return True
    finally:
        database.close()


def prepare_engine(settings: Settings) -> str:
    """A fresh key between us and the engine, in a file that only this user reads.

    The socket of an engine that was killed is removed, for vLLM does not.
    """
    settings.engine_socket.unlink(missing_ok=True)
    key = secrets.token_urlsafe(32)
    _write_private(settings.engine_key_file, key)
    return key


def _write_private(path: os.PathLike[str], text: str) -> None:
    temporary = f"{os.fspath(path)}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)  # noqa: PTH105 - both are plain strings here
