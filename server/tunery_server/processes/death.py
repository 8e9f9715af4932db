"""A child that dies with its parent, whatever kills the parent."""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""


def die_with_parent(sig: int = signal.SIGKILL, parent: int | None = None) -> None:
    """Ask Linux to send this process ``sig`` when the thread that started it ends.

    ``parent`` is the process id that the parent should have: when it died before this call, the
    signal is sent at once. Does nothing elsewhere than on Linux.
    """
    if sys.platform != "linux":
        return
    expected = parent or os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, sig) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != expected:
        os.kill(os.getpid(), sig)


def bound(command: list[str], sig: signal.Signals = signal.SIGKILL) -> list[str]:
    """``command`` such that its process dies with the one that starts it.

    The process starts as this module and then becomes the command: running Python between fork and
    exec (``preexec_fn``) is unsafe with threads. Start it from a thread that lives on.
    """
    shim = [sys.executable, "-m", "tunery_server.processes.death"]
    return [*shim, str(int(sig)), str(os.getpid()), *command]


def main() -> None:
    """``SIGNAL PARENT COMMAND…``: bind to the parent, then exec.

    No core file is written if the command crashes: its memory holds prompts and keys.
    """
    die_with_parent(int(sys.argv[1]), int(sys.argv[2]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.execvp(sys.argv[3], sys.argv[3:])  # noqa: S606 - the caller's own argument list


if __name__ == "__main__":
    main()
