"""Processes that are killed between the end of a job and the receiver's answer."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.receivers import Receiver, answering, hanging
from tests.rows import a_job, an_endpoint
from tunery_server.records.database import Database
from tunery_server.records.jobs import JobRecords
from tunery_server.records.outbox import Outbox
from tunery_server.records.rows import Job, JobStatus
from tunery_server.records.webhooks import EndpointRecords
from tunery_server.webhooks.destinations import Destinations
from tunery_server.webhooks.poster import Poster
from tunery_server.webhooks.sender import CLAIM_S, Sender

from .conftest import SetClock

ENDING = """
import os, signal, sys, time
from tunery_server.records import jobs
from tunery_server.records.database import Database
from tunery_server.records.rows import JobStatus

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

def add_and_die(*arguments):
    add_event(*arguments)
    die()

add_event = jobs.add_event
if {point!r} == "before the event":
    jobs.add_event = die
if {point!r} == "before the commit":
    jobs.add_event = add_and_die
jobs.JobRecords(Database({url!r})).change(
    {job_id!r}, allowed=set(JobStatus), status=JobStatus.SUCCEEDED, finished_at=time.time()
)
die()
"""
SENDING = """
import asyncio, time
from tunery_server.records.database import Database
from tunery_server.records.outbox import Outbox
from tunery_server.records.webhooks import EndpointRecords
from tunery_server.webhooks.destinations import Destinations
from tunery_server.webhooks.poster import Poster
from tunery_server.webhooks.sender import Sender

database = Database({url!r})
asyncio.run(
    Sender(
        outbox=Outbox(database),
        endpoints=EndpointRecords(database),
        poster=Poster(Destinations.of([{host!r}])),
        clock=time.time,
    ).run()
)
"""


@pytest.fixture
def job(database: Database, receiver: Receiver) -> Job:
    EndpointRecords(database).add(an_endpoint(url=receiver.url))
    job = a_job()
    JobRecords(database).add(job)
    return job


@pytest.fixture
def record_url(tmp_path: Path, database: Database) -> str:
    return f"sqlite:///{tmp_path / 'records.db'}"


def sender_to(receiver: Receiver, database: Database, clock: SetClock) -> Sender:
    return Sender(
        outbox=Outbox(database),
        endpoints=EndpointRecords(database),
        poster=Poster(Destinations.of([receiver.host])),
        clock=clock,
    )


@pytest.mark.promise("P2", fault="the process is killed around the transaction of a final state")
@pytest.mark.parametrize(
    ("point", "ended"),
    [("before the event", False), ("before the commit", False), ("after the commit", True)],
)
async def test_a_job_has_ended_with_its_event_or_not_at_all(
    receiver: Receiver,
    database: Database,
    clock: SetClock,
    job: Job,
    record_url: str,
    point: str,
    ended: bool,
) -> None:
    code = ENDING.format(point=point, url=record_url, job_id=job.id)
    worker = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], check=False)
    assert worker.returncode == -9
    now = JobRecords(database).get_any(job.id)
    assert now is not None
    assert (now.status is JobStatus.SUCCEEDED) == ended
    clock.now = time.time()
    sender = sender_to(receiver, database, clock)
    await sender.look()
    await sender.settled()
    assert len(receiver.received) == ended


async def test_what_a_killed_sender_had_begun_is_sent_again_under_its_id(
    receiver: Receiver, database: Database, clock: SetClock, job: Job, record_url: str
) -> None:
    end = {"status": JobStatus.FAILED, "finished_at": time.time()}
    JobRecords(database).change(job.id, allowed={JobStatus.QUEUED}, **end)
    receiver.respond = hanging
    code = SENDING.format(url=record_url, host=receiver.host)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    try:
        async with asyncio.timeout(60):
            while not receiver.received:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.01)
    finally:
        process.kill()
        await process.wait()
    receiver.respond = answering(200)
    sender = sender_to(receiver, database, clock)
    clock.now = time.time()
    await sender.look()
    await sender.settled()
    assert len(receiver.received) == 1
    clock.now += CLAIM_S
    await sender.look()
    await sender.settled()
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert Outbox(database).count_pending() == 0
