"""The receiver of docs/webhooks.md takes a real delivery, and nothing else."""

import asyncio
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from tests.rows import a_job, an_endpoint
from tunery_server.records.database import Database
from tunery_server.records.jobs import JobRecords
from tunery_server.records.outbox import Outbox
from tunery_server.records.rows import EventType, JobStatus
from tunery_server.records.webhooks import EndpointRecords
from tunery_server.webhooks.destinations import Destinations
from tunery_server.webhooks.poster import Poster
from tunery_server.webhooks.sender import Sender
from tunery_server.webhooks.signing import new_secret

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
[RECEIVER] = re.findall(r"^```python\n(from http.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SECRET = new_secret()


@dataclass(frozen=True)
class Running:
    port: int
    output: IO[str]


@pytest.fixture
def receiver() -> Iterator[Running]:
    """The page's receiver with a secret and a port of the test's own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    code = RECEIVER.replace("whsec_…", SECRET).replace("9000", str(port))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    _wait_for(port)
    yield Running(port, process.stdout)
    process.kill()
    process.wait(10)
    process.stdout.close()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("secret", "taken"), [(SECRET, True), (new_secret(), False)], ids=["its", "no"]
)
async def test_the_receiver_takes_what_its_secret_signed(
    receiver: Running, database: Database, secret: str, taken: bool
) -> None:
    endpoints, outbox, jobs = EndpointRecords(database), Outbox(database), JobRecords(database)
    url = f"http://127.0.0.1:{receiver.port}/tunery"
    endpoints.add(an_endpoint(url=url, secret=secret))
    job = a_job()
    jobs.add(job)
    end = {"status": JobStatus.SUCCEEDED, "finished_at": time.time()}
    jobs.change(job.id, allowed={JobStatus.QUEUED}, **end)
    poster = Poster(Destinations.of([f"http://127.0.0.1:{receiver.port}"]))
    sender = Sender(outbox=outbox, endpoints=endpoints, poster=poster, clock=time.time)
    await sender.look()
    await sender.settled()
    assert outbox.count_pending() == (0 if taken else 1)
    if taken:
        line = await asyncio.to_thread(receiver.output.readline)
        assert line == f"fine_tuning.job.succeeded {job.id}\n"


def test_the_page_names_every_event() -> None:
    assert all(f"`{type}`" in PAGE for type in EventType)
