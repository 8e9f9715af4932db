"""One child process in a group of its own."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping
from typing import IO

from tunery_server.processes.death import bound


async def start(
    command: list[str],
    environment: Mapping[str, str],
    *,
    stdin: int = asyncio.subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    line_limit: int = 2**20,
) -> Process:
    """Start ``command`` so that it dies with this process; its children share its group."""
    return await asyncio.create_subprocess_exec(
        *bound(command, death_signal),
        env=dict(environment),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        limit=line_limit,
    )


async def stop(process: Process, *, grace_s: float) -> int:
    """SIGTERM, then SIGKILL to the whole group after ``grace_s``; returns the exit status."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(grace_s):
            await process.wait()
    except TimeoutError:
        kill_group(process)
    status = await process.wait()
    kill_group(process)
    return status


def kill_group(process: Process) -> None:
    """SIGKILL whatever is left of the process's group, such as its own children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
