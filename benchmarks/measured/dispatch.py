"""How soon a worker has a job that was put into the line, and how many it has in a second.

What the gateway does last before it accepts a job, and what a worker does first: both through a
real Valkey that keeps its log as in service, from a process to another. RQ does the same on a
server of the same kind; its jobs do nothing but say when they were begun.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis

from benchmarks.benchmark import Benchmark, Claim, Figures, Form, Load
from benchmarks.interval import percentile
from benchmarks.peers import python_with
from benchmarks.queue_server import running_server
from tests.faults.piece import ROOT, Piece

RQ = "2.12.0"
ASKED = 200
JOBS = 1000
_CLAIMED = "claimed"
_MOST_S = 120.0


class Dispatch:
    """One queue with one worker, which waits."""

    def __init__(self, named: str, command: Sequence[str], client: "redis.Redis") -> None:
        self._named = named
        self._command = command
        self._client = client
        self._socket = client.connection_pool.connection_kwargs["path"]
        self._environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        }
        log = Path(self._socket).with_name("worker.log")
        self._worker = Piece(named, [*command, "work", self._socket], self._environment, log)

    def start(self) -> None:
        """The worker, which dies with the caller."""
        self._worker.start()

    def stop(self) -> None:
        """The worker."""
        self._worker.kill()

    def __call__(self) -> Figures:
        took = json.loads(self._run("ask", ASKED))
        return {
            f"p50 to a claim, {self._named}": 1000 * percentile(took, 50),
            f"claims per second, {self._named}": self._rate(),
        }

    def _rate(self) -> float:
        """Of a line that is there before the worker is let at it."""
        self._worker.freeze()
        self._run("fill", JOBS)
        self._worker.thaw()
        deadline = time.monotonic() + _MOST_S
        while self._client.llen(_CLAIMED) < JOBS:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self._named} did not claim all jobs: {self._worker.log}")
            time.sleep(0.05)
        claimed = [float(moment) for moment in self._client.lrange(_CLAIMED, 0, -1)]
        self._client.delete(_CLAIMED)
        return (len(claimed) - 1) / (max(claimed) - min(claimed))

    def _run(self, how: str, count: int) -> str:
        command = [*self._command, how, self._socket, str(count)]
        done = subprocess.run(
            command,
            env=self._environment,
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
            timeout=_MOST_S,
        )
        return done.stdout


OURS, THEIRS = "Tunery", f"RQ {RQ}"


@contextmanager
def _dispatch(named: str, *command: str) -> Iterator[Dispatch]:
    with running_server() as client:
        dispatch = Dispatch(named, command, client)
        dispatch.start()
        try:
            yield dispatch
        finally:
            dispatch.stop()


@contextmanager
def _open() -> Iterator[Sequence[Load]]:
    theirs = str(python_with(f"rq=={RQ}"))
    with (
        _dispatch(OURS, sys.executable, "-m", "benchmarks.dispatch_tunery") as ours,
        _dispatch(THEIRS, theirs, "-m", "benchmarks.dispatch_rq") as peer,
    ):
        yield [ours, peer]


BENCHMARK = Benchmark(
    id="Q1",
    title="Dispatch of jobs",
    load=(
        f"one worker that waits; {ASKED} jobs that are put into the line one after another, then "
        f"{JOBS} that are there at once"
    ),
    claims=(
        Claim(
            id="Q1",
            says="p50 from putting a job into the line of an idle worker to its claim",
            unit="ms",
            numerator=f"p50 to a claim, {OURS}",
            form=Form.FIGURE,
            bar=10.0,
            moonshot=3.0,
        ),
        Claim(
            id="Q1-peer",
            says="p50 from putting a job into the line to its claim, against RQ",
            unit="ms",
            numerator=f"p50 to a claim, {OURS}",
            denominator=f"p50 to a claim, {THEIRS}",
            bar=1.0,
            moonshot=0.5,
        ),
        Claim(
            id="Q1-rate",
            says=f"claims per second of a line of {JOBS} jobs by one worker",
            unit="jobs/s",
            numerator=f"claims per second, {OURS}",
            form=Form.FIGURE,
            bar=500.0,
            moonshot=2000.0,
            more_is_better=True,
        ),
        Claim(
            id="Q1-rate-peer",
            says=f"claims per second of a line of {JOBS} jobs by one worker, against RQ",
            unit="jobs/s",
            numerator=f"claims per second, {OURS}",
            denominator=f"claims per second, {THEIRS}",
            bar=1.0,
            moonshot=2.0,
            more_is_better=True,
        ),
    ),
    open=_open,
)
