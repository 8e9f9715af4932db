"""The data folder: writable, with room, and this user's alone."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tunery_server.config import Settings
from tunery_server.doctor.finding import Finding, fail, ok, warn
from tunery_server.supervisor.valkey import check_socket_path

_LEAST_BYTES = 256 << 20
"""Below it Redis' log and the record are about to find no room."""
_JOB_BYTES = 2 << 30
"""For a job's checkpoints and its adapter, beside the largest upload."""
_LEAST_FILES = 10_000
_PROBE_BYTES = 64 << 10
_OTHERS = 0o077


def folder_checks(settings: Settings) -> Iterator[Finding]:
    """Whether it can be written, how much room there is, and who else could read it."""
    for socket in (settings.valkey_socket, settings.engine_socket):
        check_socket_path(socket)
    home = settings.home
    if not home.exists():
        yield ok("data folder", f"{home} is not there yet; the first start makes it")
        home = next(parent for parent in home.parents if parent.exists())
    else:
        yield _writable(home)
    if home.is_dir():
        yield _room(home, settings.max_file_bytes + _JOB_BYTES)
        yield _permissions(settings)


def _writable(home: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=home) as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        advice = "let TUNERY_HOME be a folder that this user may write, on a disk with room"
        return fail("data folder", f"{home} cannot be written: {error.strerror}", advice)
    return ok("data folder", f"{home} can be written")


def _room(home: Path, wanted: int) -> Finding:
    free = shutil.disk_usage(home).free
    about = os.statvfs(home)
    says = f"{free / 2**30:.1f} GiB free"
    advice = "make room, or move the data folder (TUNERY_HOME) to a larger disk"
    if free < _LEAST_BYTES:
        return fail("disk", says, advice)
    if about.f_files and about.f_favail < _LEAST_FILES:
        return fail("disk", f"{says}, but only {about.f_favail} more files", advice)
    if free < wanted:
        much = f"the largest upload and a job take up to {wanted / 2**30:.1f} GiB"
        return warn("disk", f"{says}; {much}", advice)
    return ok("disk", says)


def _permissions(settings: Settings) -> Finding:
    private = (
        settings.home,
        settings.runtime_dir,
        settings.admin_key_file,
        settings.engine_key_file,
        settings.home / "tunery.toml",
    )
    there = [path for path in private if path.exists()]
    strange = [path for path in there if path.stat().st_uid != os.geteuid()]
    open_ = [path for path in there if path.stat().st_mode & _OTHERS]
    if open_:
        names = ", ".join(f"{path} ({path.stat().st_mode & 0o777:o})" for path in open_)
        # A start closes the folders by itself.
        worse = fail if any(path.is_file() for path in open_) else warn
        words = " ".join(map(str, open_))
        return worse("permissions", f"open to other users: {names}", f"chmod go= {words}")
    if strange:
        names = ", ".join(map(str, strange))
        return warn(
            "permissions",
            f"not this user's (uid {os.geteuid()}): {names}",
            "run this, and the server, as the user that the folder belongs to",
        )
    return ok("permissions", "keys and settings are this user's alone")
