"""SIGTERM to a gateway with streams and to a worker with a job; about 25 seconds."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.engines import Fault
from tests.faults import invariants
from tests.faults.invariants import watched
from tests.faults.stack import Stack, started
from tests.promises import TOOK_S
from tests.queues import until
from tunery_adapters.fault import Point
from tunery_server.records.rows import JobStatus

pytestmark = [pytest.mark.training, pytest.mark.timeout(600)]

STREAMS = 20
QUICK_S = 5.0
APART_S = 0.5
"""Two signals at once are one."""
Record = Callable[[str, object], None]


@pytest.fixture
def stack(tmp_path: Path, tiny_model: Path) -> Iterator[Stack]:
    with started(tmp_path / "home", tiny_model) as stack:
        yield stack


class Streams:
    """Clients amid their answers."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._pool = ThreadPoolExecutor(STREAMS)
        self.begun = 0
        self._answers = [self._pool.submit(self._read) for _ in range(STREAMS)]
        until(lambda: self.begun == STREAMS, within_s=30)

    def texts(self) -> list[str]:
        """All of them, once they have ended; what broke off ends with the error's name."""
        with self._pool:
            return [answer.result(60) for answer in self._answers]

    def _read(self) -> str:
        body = {
            "model": self._stack.settings.base_model_name,
            "messages": [{"role": "user", "content": "Hello"}],
            "stream": True,
        }
        text = ""
        try:
            with (
                self._stack.http() as http,
                http.stream("POST", "/v1/chat/completions", json=body) as answer,
            ):
                for piece in answer.iter_text():
                    self.begun += not text
                    text += piece
        except httpx2.TransportError as error:
            return text + type(error).__name__
        return text


def listens(stack: Stack) -> bool:
    try:
        socket.create_connection(("127.0.0.1", stack.settings.port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.promise("P14", fault="SIGTERM of a gateway amid 20 streams")
def test_streams_are_led_to_their_end(stack: Stack) -> None:
    stack.start_gateway()
    stack.order(Fault.STALLS)
    streams = Streams(stack)
    stack.gateway.ask_to_end()
    until(lambda: not listens(stack))
    stack.order(Fault.NONE)
    assert {text.rstrip()[-12:] for text in streams.texts()} == {"data: [DONE]"}
    until(lambda: not stack.gateway.running, within_s=QUICK_S)


@pytest.mark.promise("P14", fault="a second SIGTERM of a gateway whose streams do not end")
def test_a_second_one_waits_for_none(stack: Stack) -> None:
    stack.start_gateway()
    stack.order(Fault.STALLS)
    streams = Streams(stack)
    stack.gateway.ask_to_end()
    until(lambda: not listens(stack))
    stack.gateway.ask_to_end()
    until(lambda: not stack.gateway.running, within_s=QUICK_S)
    assert not any("[DONE]" in text for text in streams.texts())


@pytest.mark.promise("P14", fault="SIGTERM of a worker amid a job")
def test_a_job_goes_on_after_its_worker_ended(stack: Stack, record_property: Record) -> None:
    stack.worker.start()
    job = stack.at_step(stack.submit(n_epochs=50).id)
    asked_at = time.monotonic()
    assert stack.worker.stop() == 0
    record_property(TOOK_S, time.monotonic() - asked_at)
    waiting = stack.job(job.id)
    assert (waiting.status, waiting.losses) == (JobStatus.QUEUED, 0)
    assert (stack.home / "jobs" / job.id / "checkpoints").is_dir()
    stack.worker.start()
    done = watched(stack, job.id)
    assert (done.status, done.attempt, done.losses) == (JobStatus.SUCCEEDED, 2, 0)
    invariants.hold(stack, done)


@pytest.mark.promise("P14", fault="two SIGTERMs of a worker whose trainer hangs")
def test_a_worker_does_not_wait_for_a_trainer_that_hangs(
    stack: Stack, record_property: Record
) -> None:
    stack.worker.start(f"{Point.TRAIN_STEP}:hang")
    job = stack.at_step(stack.submit().id)
    stack.worker.ask_to_end()
    time.sleep(APART_S)
    asked_at = time.monotonic()
    assert stack.worker.stop() == 0
    record_property(TOOK_S, time.monotonic() - asked_at)
    waiting = stack.job(job.id)
    assert (waiting.status, waiting.losses) == (JobStatus.QUEUED, 0)
