"""Named points at which a test makes a process fail: ``TUNERY_TEST_FAULT=train.step@5:kill``.

A point stands where a crash would be worst: between two writes that belong together. The value
names one, after ``@`` the how-manieth time that this process reaches it (by default the first), and
after ``:`` what happens then; a comma goes before another one. Without the variable a point does
nothing.

No request can set it: it is read once, from the environment of the process that starts, and only
who may start processes as this user may set that, and could kill them without it. A process in
which it is set says so in its log.
"""

import itertools
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

VARIABLE = "TUNERY_TEST_FAULT"


class Point(StrEnum):
    """All of them; the first word says who gets there, and the test of all points goes by it."""

    CREATE_BEFORE_COMMIT = "create.before_commit"
    """Gateway: the job is checked and not yet written."""
    CREATE_AFTER_COMMIT = "create.after_commit_before_reply"
    """Gateway: the job is written, but neither in line nor known to the client."""
    QUEUE_AFTER_ENQUEUE = "queue.after_enqueue"
    """Gateway: the job is in line, but not known to the client."""
    CANCEL_WRITTEN = "cancel.written"
    """Gateway: the job is cancelled, and still in line or under way."""
    PAUSE_WRITTEN = "pause.written"
    """Gateway: the job is paused or pausing, and still in line or under way."""
    FILE_KEPT = "file.kept"
    """Gateway: an upload has its name in the folder, and no record."""
    JOB_CLAIMED = "job.claimed"
    """Worker: it has the lease, and the record does not know."""
    JOB_FILES_COPIED = "job.files_copied"
    """Worker: the working folder is there, and no trainer."""
    JOB_STOPPING = "job.stopping"
    """Worker: the trainer was asked to write a checkpoint and end."""
    JOB_RELEASED = "job.released"
    """Worker: the record says paused or queued, the queue still holds the lease."""
    JOB_FINAL_WRITTEN = "job.final_written"
    """Worker: the record says how the job ended, the queue still holds the lease."""
    JOB_ACKED = "job.acked"
    """Worker: the lease is given back, what the trainer left is still there."""
    ADAPTER_TMP_WRITTEN = "adapter.tmp_written"
    """Worker: a version is written under a temporary name."""
    ADAPTER_RENAMED = "adapter.renamed"
    """Worker: a version is in its place, and no record names it."""
    ADAPTER_REGISTERED = "adapter.registered"
    """Worker: the record names a version, the engine does not know it."""
    RECONCILER_SWEPT = "reconciler.swept"
    """Worker: leases that ran out are dropped, and the record does not know."""
    RECONCILER_REQUEUED = "reconciler.requeued"
    """Worker: the record says that a lost job waits, and the queue does not know."""
    TRAIN_STEP = "train.step"
    """Trainer: a step was taken and told of."""
    CKPT_TMP_WRITTEN = "ckpt.tmp_written"
    """Trainer: a checkpoint is written under a temporary name."""
    CKPT_RENAMED = "ckpt.renamed"
    """Trainer: a checkpoint is in its place, and was not told of."""
    TRAIN_DONE = "train.done"
    """Trainer: the adapter is in the working folder, and was not told of."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens in this process, and when."""

    point: Point
    count: int
    action: str
    _reached: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def reach(self, point: Point) -> None:
        """Come to a point."""
        if point is self.point and next(self._reached) == self.count:
            ACTIONS[self.action]()


def parse(text: str) -> tuple[Fault, ...]:
    """Read the variable's value. Raises ValueError for a point or an action that there is not."""
    return tuple(map(_parsed, text.split(",")))


def _parsed(text: str) -> Fault:
    place, _, action = text.partition(":")
    name, _, count = place.partition("@")
    if action not in ACTIONS:
        raise ValueError(f"{VARIABLE}: {action!r} is none of {', '.join(ACTIONS)}")
    return Fault(Point(name), int(count or 1), action)


def point(name: Point) -> None:
    """Do what was asked for at this point, which is nothing but in a test."""
    for fault in armed:
        fault.reach(name)


def words() -> str:
    """What this process was started with, to be logged."""
    return ", ".join(f"{fault.point}@{fault.count}:{fault.action}" for fault in armed)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_parent() -> None:
    """This process, which dies with its parent, gets no further."""
    os.kill(os.getppid(), signal.SIGKILL)
    _hang()


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _hang() -> None:
    threading.Event().wait()


def _exit() -> None:
    os._exit(1)


ACTIONS: dict[str, Callable[[], None]] = {
    "kill": _kill,
    "kill_parent": _kill_parent,
    "stop": _stop,
    "hang": _hang,
    "exit": _exit,
}
"""SIGKILL to this process or to its parent, SIGSTOP, a thread that waits for ever, an exit."""

armed: tuple[Fault, ...] = parse(os.environ[VARIABLE]) if VARIABLE in os.environ else ()
"""What this process was started with."""
