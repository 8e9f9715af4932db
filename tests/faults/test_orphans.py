"""SIGKILL of a gateway amid streams, and of a worker amid a job; about 30 seconds."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engines import Fault
from tests.faults import invariants
from tests.faults.invariants import CLEAN_S, trainers, watched
from tests.faults.stack import Stack, started
from tests.faults.test_ended import Streams
from tests.promises import TOOK_S
from tests.queues import until
from tests.servers import alive
from tunery_server.records.rows import JobStatus

Record = Callable[[str, object], None]


@pytest.fixture
def stack(tmp_path: Path, tiny_model: Path) -> Iterator[Stack]:
    with started(tmp_path / "home", tiny_model) as stack:
        yield stack


@pytest.mark.promise("P25", fault="SIGKILL of a gateway amid 20 streams")
def test_the_port_is_free_and_the_engine_idle_and_the_next_one_serves(
    serving: Stack, record_property: Record
) -> None:
    serving.order(Fault.STALLS, after=1)
    family = serving.gateway.children()
    streams = Streams(serving)
    serving.gateway.kill()
    killed_at = time.monotonic()
    socket.create_server(("127.0.0.1", serving.settings.port)).close()
    until(lambda: serving.engine_runs() == 0, within_s=CLEAN_S)
    until(lambda: not alive(family), within_s=CLEAN_S)
    record_property(TOOK_S, time.monotonic() - killed_at)
    assert not any("[DONE]" in text for text in streams.texts())
    serving.order(Fault.NONE)
    serving.start_gateway()
    assert {text.rstrip()[-12:] for text in Streams(serving).texts()} == {"data: [DONE]"}


@pytest.mark.training
@pytest.mark.timeout(600)
@pytest.mark.promise("P25", fault="SIGKILL of a worker amid a job")
def test_the_trainer_goes_with_its_worker_and_the_next_one_goes_on(
    stack: Stack, record_property: Record
) -> None:
    stack.worker.start()
    job = stack.at_step(stack.submit(n_epochs=50).id)
    family = stack.worker.children()
    assert trainers(stack)
    stack.worker.kill()
    killed_at = time.monotonic()
    until(lambda: not alive(family) and not trainers(stack), within_s=CLEAN_S)
    record_property(TOOK_S, time.monotonic() - killed_at)
    stack.worker.start()
    done = watched(stack, job.id)
    assert (done.status, done.attempt) == (JobStatus.SUCCEEDED, 2)
    invariants.hold(stack, done)
