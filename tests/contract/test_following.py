"""The client follows a job of a real gateway, which others write to and which restarts."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from tests.engines import ScriptedEngine
from tests.loopback import serving
from tests.rows import NOW, a_job
from tunery import AsyncTunery, JobUpdate, Patience, Tunery
from tunery_server.gateway.app import create_app
from tunery_server.ids import new_id
from tunery_server.records.database import Database
from tunery_server.records.job_history import JobHistory, Note
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import HELD, JobStatus

from .live import Live, listening


class Worker:
    """What a worker in another process writes."""

    def __init__(self, live: Live) -> None:
        database = Database(live.gateway.settings.database)
        self.job_id = JobRecords(database).add(a_job(status=JobStatus.RUNNING, attempt=1))
        self._jobs, self._history = JobRecords(database), JobHistory(database)

    def step(self, number: int, total: int = 20) -> None:
        data = {"step": number, "total_steps": total, "train_loss": 1 / number}
        self._history.add_event(
            self.job_id,
            event_id=new_id("ftevent-"),
            created_at=NOW,
            message=f"Step {number}",
            type="metrics",
            data=data,
            attempt=1,
        )

    def succeed(self) -> None:
        note = Note(id=new_id("ftevent-"), created_at=NOW, message="Done")
        self._jobs.change(
            self.job_id,
            allowed=HELD,
            note=note,
            status=JobStatus.SUCCEEDED,
            fine_tuned_model="ft:base:x",
        )


def steps(updates: list[JobUpdate]) -> list[int]:
    events = [event for update in updates for event in update.events]
    return [event.metrics.step for event in events if event.metrics is not None]


def test_both_clients_get_every_event_once_and_the_end(live: Live) -> None:
    worker = Worker(live)
    options = {"base_url": f"{live.url}/v1", "api_key": live.gateway.key}

    def follow() -> list[JobUpdate]:
        return list(Tunery(**options).follow(worker.job_id))

    async def follow_async() -> list[JobUpdate]:
        async with AsyncTunery(**options) as client:
            return [update async for update in client.follow(worker.job_id)]

    with ThreadPoolExecutor() as pool:
        following = [pool.submit(follow), pool.submit(asyncio.run, follow_async())]
        for number in range(1, 21):
            worker.step(number)
        worker.succeed()
        for found in following:
            updates = found.result(60)
            assert steps(updates) == list(range(1, 21))
            assert updates[-1].result() == "ft:base:x"
            assert [event.message for update in updates for event in update.events][-1] == "Done"


def test_a_restart_of_the_gateway_leaves_no_gap_and_no_double(tmp_path: Path, valkey: str) -> None:
    reached, updates = threading.Event(), list[JobUpdate]()
    with listening(tmp_path, valkey) as first:
        worker, settings = Worker(first), first.gateway.settings
        client = Tunery(base_url=f"{first.url}/v1", api_key=first.gateway.key)

        def follow() -> None:
            for update in client.follow(worker.job_id, patience=Patience(retry_s=0.05)):
                updates.append(update)
                if 10 in steps([update]):
                    reached.set()

        following = threading.Thread(target=follow)
        following.start()
        for number in range(1, 11):
            worker.step(number)
        assert reached.wait(60)
    worker.step(11)
    with serving(create_app(settings, ScriptedEngine()), settings):
        for number in range(12, 21):
            worker.step(number)
        worker.succeed()
        following.join(60)
        assert not following.is_alive()
    assert steps(updates) == list(range(1, 21))
    assert updates[-1].ended


def test_anothers_job_is_not_found(live: Live) -> None:
    worker = Worker(live)
    rival = Tunery(base_url=f"{live.url}/v1", api_key=live.gateway.rival_key)
    with pytest.raises(openai.NotFoundError):
        list(rival.follow(worker.job_id))
