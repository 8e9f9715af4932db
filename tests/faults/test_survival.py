"""What a real server survives: a killed engine, a restart, its own death.

These use the server that the integration tests have used before them, with the adapters that those
trained; each start of the engine costs about a minute, so the tests run in order, once.
"""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from openai.types.fine_tuning import FineTuningJob

from tests.pirates import ENDED, wait
from tests.servers import MODEL_NAME, RunningServer, alive, descendants

pytestmark = [pytest.mark.engine, pytest.mark.once, pytest.mark.timeout(600)]

ORPHANS_GONE_S = 30.0
PROMPT: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "Tell me a long story about the sea."}
]


@pytest.fixture(scope="module")
def client(server: RunningServer) -> OpenAI:
    return server.client()


@pytest.fixture(scope="module")
def adapter(lora_job: FineTuningJob) -> str:
    assert lora_job.fine_tuned_model is not None
    return lora_job.fine_tuned_model


class Streaming(threading.Thread):
    """A client in the middle of a long answer."""

    def __init__(self, client: OpenAI, max_tokens: int) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._max_tokens = max_tokens
        self.begun = threading.Event()
        self.finish_reason: str | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            for chunk in self._client.chat.completions.create(
                model=MODEL_NAME,
                messages=PROMPT,
                max_tokens=self._max_tokens,
                stream=True,
                extra_body={"min_p": 0.0},
            ):
                self.begun.set()
                self.finish_reason = chunk.choices[0].finish_reason
        except Exception as error:
            self.error = error
        finally:
            self.begun.set()


def until(
    client: OpenAI, job: FineTuningJob, holds: Callable[[FineTuningJob], bool]
) -> FineTuningJob:
    """The job once the condition holds; it must not end before."""
    deadline = time.monotonic() + 300
    while not holds(job):
        assert job.status not in ENDED, job.error
        assert time.monotonic() < deadline
        time.sleep(0.1)
        job = client.fine_tuning.jobs.retrieve(job.id)
    return job


def gone(pids: Iterable[int]) -> None:
    """Return once none of these processes runs; fail if one is still there after a while."""
    deadline = time.monotonic() + ORPHANS_GONE_S
    while left := alive(pids):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def chat(client: OpenAI, model: str) -> str | None:
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Hello"}], max_tokens=4
    )
    return answer.choices[0].message.content


@pytest.mark.promise("P25", fault="SIGKILL of a worker of the whole server")
@pytest.mark.promise("P3", fault="SIGKILL of a worker of the whole server")
def test_a_killed_worker_takes_its_trainer_along_and_the_job_goes_on(
    server: RunningServer, client: OpenAI, lora_job: FineTuningJob
) -> None:
    job = client.fine_tuning.jobs.create(
        model=MODEL_NAME,
        training_file=lora_job.training_file,
        hyperparameters={"n_epochs": 3, "batch_size": 4},
    )
    job = until(client, job, lambda job: (job.model_extra or {})["progress"] is not None)
    [worker] = server.pids("tunery_server worker")
    trainers = server.pids("tunery_adapters.training")
    assert trainers
    os.kill(worker, signal.SIGKILL)
    job = until(client, job, lambda job: (job.model_extra or {})["attempt"] == 2)
    assert alive(trainers) == []
    job = wait(client, job)
    assert job.status == "succeeded"
    assert job.fine_tuned_model is not None
    assert chat(client, job.fine_tuned_model)
    messages = [event.message for event in client.fine_tuning.jobs.list_events(job.id)]
    assert any(message.startswith("The worker was lost") for message in messages)
    names = [model.id for model in client.models.list()]
    assert names.count(job.fine_tuned_model) == 1


def test_a_killed_engine_leaves_no_request_hanging_and_comes_back(
    server: RunningServer, client: OpenAI, adapter: str
) -> None:
    streams = [Streaming(client, 1000) for _ in range(4)]
    for stream in streams:
        stream.start()
    for stream in streams:
        assert stream.begun.wait(60)
    [gateway] = server.pids("tunery_server gateway")
    [engine] = server.pids("tunery_server.engine.launch")
    family = [engine, *descendants(engine)]
    killed_at = time.monotonic()
    os.kill(engine, signal.SIGKILL)
    for stream in streams:
        stream.join(20)
        assert isinstance(stream.error, openai.APIError)
        assert stream.finish_reason is None
    assert time.monotonic() - killed_at < 20
    with pytest.raises(openai.APIStatusError) as error:
        chat(client, MODEL_NAME)
    assert error.value.status_code == 503
    gone(family)
    server.wait_ready()
    assert alive([gateway]) == [gateway]
    assert chat(client, adapter)


@pytest.mark.promise("P14", fault="SIGTERM of the whole server amid a stream")
def test_sigterm_lets_a_stream_end_and_a_restart_keeps_everything(
    server: RunningServer, client: OpenAI, adapter: str
) -> None:
    stream = Streaming(client, 120)
    stream.start()
    assert stream.begun.wait(60)
    family = descendants(server.process.pid)
    assert server.stop() == 0
    stream.join(10)
    assert stream.error is None
    assert stream.finish_reason in {"length", "stop"}
    assert alive(family) == []
    key = server.key
    server.start()
    server.wait_ready()
    assert server.key == key
    assert chat(client, adapter)


@pytest.mark.promise("P25", fault="SIGKILL of the whole server")
def test_a_killed_server_leaves_no_orphan(server: RunningServer) -> None:
    family = descendants(server.process.pid)
    assert len(family) >= 5
    server.process.kill()
    server.process.wait()
    gone(family)
    socket.create_server(("127.0.0.1", server.port)).close()
    server.start()
    listens(server)
    assert MODEL_NAME in [model.id for model in server.client().models.list()]


def listens(server: RunningServer) -> None:
    """Return once it does; its engine takes longer, which is no matter here."""
    deadline = time.monotonic() + ORPHANS_GONE_S
    while server.process.poll() is None:
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", server.port)).close()
        assert time.monotonic() < deadline, server.tail()
        time.sleep(0.05)
    pytest.fail(server.tail())
