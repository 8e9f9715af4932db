"""A job's events as they happen, over real HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.fine_tuning import FineTuningJobEvent

from tests.rows import NOW, a_job
from tunery_server.gateway.app import create_app
from tunery_server.gateway.auth import digest_of
from tunery_server.gateway.deps import Services
from tunery_server.ids import new_id
from tunery_server.jobs.feed import Feed
from tunery_server.jobs.watchers import Watchers
from tunery_server.records.database import Database
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.keys import KeyRecords

from .composed import Gateway
from .event_lines import Sent, sent
from .sockets import PATIENCE_S, Edge, listening

PER_TENANT = 3
DONE = "[DONE]"


@pytest.fixture
async def edge(gateway: Gateway) -> AsyncIterator[Edge]:
    """A gateway that shows a sign of life ten times a second and has few places for watchers."""
    services: Services = gateway.app.state.services
    gateway.app.state.services = replace(
        services,
        feed=Feed(JobHistory(gateway.database), heartbeat_s=0.1),
        watchers=Watchers(limit=2 * PER_TENANT, per_tenant=PER_TENANT),
    )
    async with listening(gateway) as edge:
        yield edge


@pytest.fixture
def job_id(gateway: Gateway) -> str:
    return JobRecords(gateway.database).add(a_job())


@pytest.fixture
def worker(gateway: Gateway, job_id: str) -> "Worker":
    return Worker(gateway, job_id)


class Worker:
    """What another process writes, through a connection of its own."""

    def __init__(self, gateway: Gateway, job_id: str) -> None:
        self._gateway = gateway
        self._job_id = job_id
        self._history = JobHistory(Database(gateway.settings.database))

    def say(self, *messages: str) -> list[str]:
        """Write events; their ids."""
        return [self._event(message, {"step": 1, "note": "ü\n"}) for message in messages]

    def _event(self, message: str, data: dict[str, object]) -> str:
        event_id = new_id("ftevent-")
        self._history.add_event(
            self._job_id, event_id=event_id, created_at=NOW, message=message, data=data
        )
        return event_id

    async def cancel(self) -> None:
        """Through another gateway on the same record."""
        other = replace(self._gateway, app=create_app(self._gateway.settings, self._gateway.engine))
        async with other.openai() as client:
            await client.fine_tuning.jobs.cancel(self._job_id)


@asynccontextmanager
async def watching(
    edge: Edge, job_id: str, *, after: str | None = None, key: str | None = None
) -> AsyncIterator[AsyncIterator[Sent]]:
    headers = {"Last-Event-ID": after} if after else {}
    url = f"/v1/fine_tuning/jobs/{job_id}/events?stream=true"
    async with (
        asyncio.timeout(PATIENCE_S),
        edge.http(key) as http,
        http.stream("GET", url, headers=headers) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        yield sent(answer.aiter_lines())


async def next_event(stream: AsyncIterator[Sent]) -> Sent:
    async for got in stream:
        if not got.comment:
            return got
    raise AssertionError("the stream ended")


async def rest(stream: AsyncIterator[Sent]) -> list[Sent]:
    return [got async for got in stream if not got.comment]


async def listed(edge: Edge, job_id: str) -> list[object]:
    """The list's objects, oldest first."""
    async with edge.http() as http:
        answer = await http.get(f"/v1/fine_tuning/jobs/{job_id}/events?limit=100")
    return list(answer.json()["data"][::-1])


async def until_nobody_watches(edge: Edge) -> None:
    services: Services = edge.gateway.app.state.services
    async with asyncio.timeout(PATIENCE_S):
        while services.feed._watched or services.watchers._open:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_history_then_live_then_done_as_in_the_list(
    edge: Edge, job_id: str, worker: Worker
) -> None:
    worker.say("a", "b")
    async with watching(edge, job_id) as stream:
        got = [await next_event(stream) for _ in range(2)]
        worker.say("c")
        got.append(await next_event(stream))
        await worker.cancel()
        *more, done = await rest(stream)
    assert (done.id, done.data) == (None, DONE)
    assert [event.json for event in got + more] == await listed(edge, job_id)
    assert [event.id for event in got + more] == [event.json["id"] for event in got + more]
    assert more[-1].json["message"] == "The job was cancelled"
    await until_nobody_watches(edge)


async def test_it_goes_on_right_after_the_last_event(
    edge: Edge, job_id: str, worker: Worker
) -> None:
    ids = worker.say(*(str(number) for number in range(150)))
    async with watching(edge, job_id, after=ids[119]) as stream:
        assert [(await next_event(stream)).id for _ in range(30)] == ids[120:]
        [after] = worker.say("while nobody was there")
    await worker.cancel()
    async with watching(edge, job_id, after=ids[-1]) as stream:
        first, last, done = await rest(stream)
    assert (first.id, done.data) == (after, DONE)
    async with watching(edge, job_id, after=last.id) as stream:
        assert [got.data for got in await rest(stream)] == [DONE]


async def test_silence_has_signs_of_life(edge: Edge, job_id: str) -> None:
    async with watching(edge, job_id) as stream:
        for _ in range(3):
            assert (await anext(stream)).comment


@pytest.mark.parametrize("event_id", ["ftevent-unknown", "x" * 128, "1"])
async def test_an_unknown_last_event_is_named(edge: Edge, job_id: str, event_id: str) -> None:
    async with edge.http() as http:
        url = f"/v1/fine_tuning/jobs/{job_id}/events"
        answer = await http.get(url, params={"stream": True}, headers={"Last-Event-ID": event_id})
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (400, "Last-Event-ID")
        assert event_id in error["message"]
        ignored = await http.get(url, headers={"Last-Event-ID": event_id})
        assert ignored.status_code == 200


async def test_an_event_of_another_job_is_unknown(
    edge: Edge, job_id: str, worker: Worker, gateway: Gateway
) -> None:
    [event_id] = worker.say("a")
    other = JobRecords(gateway.database).add(a_job())
    async with edge.http() as http:
        answer = await http.get(
            f"/v1/fine_tuning/jobs/{other}/events?stream=true", headers={"Last-Event-ID": event_id}
        )
    assert answer.status_code == 400


async def test_another_tenants_job_is_an_absent_one(edge: Edge, job_id: str) -> None:
    absent = "ftjob-" + "0" * 32
    async with edge.http(edge.gateway.rival_key) as http:
        theirs, none = [
            await http.get(f"/v1/fine_tuning/jobs/{name}/events?stream=true")
            for name in (job_id, absent)
        ]
    assert theirs.status_code == none.status_code == 404
    assert theirs.text == none.text.replace(absent, job_id)
    await until_nobody_watches(edge)


@pytest.mark.parametrize("query", ["limit=5", "after=ftevent-1"])
async def test_a_stream_has_no_pages(edge: Edge, job_id: str, query: str) -> None:
    async with edge.http() as http:
        answer = await http.get(f"/v1/fine_tuning/jobs/{job_id}/events?stream=true&{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == query.partition("=")[0]


async def test_the_stock_client_reads_it_and_its_list_is_as_ever(
    edge: Edge, job_id: str, worker: Worker
) -> None:
    """Signs of life are no events to it, wherever they come."""
    ids = worker.say("a", "b", "c")
    client = AsyncOpenAI(
        base_url=f"http://127.0.0.1:{edge.port}/v1", api_key=edge.gateway.key, max_retries=0
    )
    async with client:
        stream = await client.get(
            f"/fine_tuning/jobs/{job_id}/events?stream=true",
            cast_to=FineTuningJobEvent,
            stream=True,
            stream_cls=openai.AsyncStream[FineTuningJobEvent],
        )
        got = [(await anext(stream)).id for _ in range(3)]
        await asyncio.sleep(0.3)
        await worker.cancel()
        got += [event.id async for event in stream]
        pages = [event.id async for event in client.fine_tuning.jobs.list_events(job_id, limit=2)]
    assert got[:3] == ids
    assert got == pages[::-1]


async def test_streams_are_bounded_and_a_client_that_leaves_makes_room(
    edge: Edge, job_id: str
) -> None:
    url = f"/v1/fine_tuning/jobs/{job_id}/events?stream=true"
    async with edge.http() as http:
        streams = [
            await http.send(http.build_request("GET", url), stream=True) for _ in range(PER_TENANT)
        ]
        assert "tunery_job_watchers 3.0" in (await http.get("/metrics")).text
        refused = await http.get(url)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        for stream in streams:
            await stream.aclose()
        await until_nobody_watches(edge)
        again = await http.send(http.build_request("GET", url), stream=True)
        assert again.status_code == 200
        await again.aclose()
    await until_nobody_watches(edge)


async def test_a_revoked_key_ends_the_stream(
    edge: Edge, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunery_server.gateway.auth.CACHE_S", 0.05)
    secret = edge.gateway.new_key("jobs")
    async with watching(edge, job_id, key=secret) as stream:
        assert (await anext(stream)).comment
        keys = KeyRecords(edge.gateway.database)
        key = keys.by_digest(digest_of(secret))
        assert key is not None
        keys.revoke(key.id, now=time.time())
        [last] = await rest(stream)
    assert last.json["error"]["code"] == "invalid_api_key"
    await until_nobody_watches(edge)


async def test_a_server_that_stops_ends_streams_at_once(gateway: Gateway, job_id: str) -> None:
    async with listening(gateway) as edge, watching(edge, job_id) as stream:
        assert (await anext(stream)).comment
        edge.server.should_exit = True
        [last] = await rest(stream)  # which a stream that was cut off would not have
    assert last.json["error"]["code"] == "server_restarting"


async def test_it_needs_no_redis(edge: Edge, gateway: Gateway, job_id: str, worker: Worker) -> None:
    nobody = gateway.settings.model_copy(update={"redis_url": "unix:///nonexistent/valkey.sock"})
    alone = replace(gateway, app=create_app(nobody, gateway.engine))
    async with listening(alone) as without, watching(without, job_id) as stream:
        [event_id] = worker.say("a")
        assert (await next_event(stream)).id == event_id
        await worker.cancel()
        assert (await rest(stream))[-1].data == DONE


async def test_a_client_that_takes_nothing_costs_little(
    edge: Edge, job_id: str, worker: Worker
) -> None:
    """One that never reads holds up neither the others nor the server."""
    worker.say("x" * 2000)
    async with edge.connect(receive_buffer=4096) as (_, writer):
        path = f"/v1/fine_tuning/jobs/{job_id}/events?stream=true"
        writer.write(edge.request("GET", path))
        worker.say(*("x" * 10_000 for _ in range(200)))
        async with watching(edge, job_id) as stream:
            for _ in range(201):
                await next_event(stream)
        sizes = [c.transport.get_write_buffer_size() for c in edge.server.server_state.connections]
        assert max(sizes) < 100 * 10_000 * 1.5, "no more than a page waits for it"
    await until_nobody_watches(edge)


async def test_only_whole_words_begin_a_stream(edge: Edge, job_id: str) -> None:
    async with edge.http() as http:
        answers: list[httpx2.Response] = [
            await http.get(f"/v1/fine_tuning/jobs/{job_id}/events?stream={value}")
            for value in ("false", "perhaps")
        ]
    assert [answer.status_code for answer in answers] == [200, 400]
    assert answers[0].json()["object"] == "list"
