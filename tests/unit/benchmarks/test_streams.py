"""The benchmarks' clients, against a server that does what it should not."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from aiohttp import web

from benchmarks.streams import Ask, Clients

ASK = Ask(key="secret", model="tiny", prompt=(1, 2, 3), tokens=2)
CHUNK = b'data: {"choices": [{"text": "x"}]}\n\n'
USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n'
DONE = b"data: [DONE]\n\n"


class Scripted:
    """Answers every request with ``events``; keeps what it was asked."""

    def __init__(self) -> None:
        self.events = [CHUNK, CHUNK, USAGE, DONE]
        self.status = 200
        self.asked: list[dict[str, object]] = []
        self.running = self.most = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.running += 1
        self.most = max(self.most, self.running)
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        for event in self.events:
            await response.write(event)
            await asyncio.sleep(0)
        self.running -= 1
        return response


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
async def clients(scripted: Scripted) -> AsyncIterator[Clients]:
    app = web.Application()
    app.router.add_post("/v1/completions", scripted.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    async with Clients(f"http://{host}:{port}", banned=[2]) as clients:
        yield clients
    await runner.cleanup()


async def test_each_token_has_its_time(clients: Clients, scripted: Scripted) -> None:
    answer = await clients.send(ASK)
    assert len(answer.arrivals) == 2
    assert answer.due < answer.arrivals[0] <= answer.arrivals[1] == answer.ended
    assert answer.ttft == answer.arrivals[0] - answer.due
    assert scripted.asked[0]["logit_bias"] == {"2": -100}


async def test_a_closed_loop_keeps_so_many_streams(clients: Clients, scripted: Scripted) -> None:
    answers = await clients.closed_loop([ASK] * 9, streams=3)
    assert (len(answers), len(scripted.asked)) == (9, 9)
    assert scripted.most <= 3


async def test_an_open_loop_counts_from_when_a_request_was_due(clients: Clients) -> None:
    answers = await clients.open_loop([(0.0, ASK), (0.0, ASK), (0.02, ASK)])
    dues = [answer.due for answer in answers]
    assert [later - sooner for sooner, later in pairwise(dues)] == pytest.approx([0.0, 0.02])


async def test_a_refusal_is_an_answer(clients: Clients, scripted: Scripted) -> None:
    scripted.status = 503
    assert (await clients.send(ASK)).refusal
    with pytest.raises(RuntimeError, match="1 of 1 refused"):
        await clients.closed_loop([ASK], streams=1)


@pytest.mark.parametrize(
    "events",
    [[CHUNK, CHUNK, USAGE], [CHUNK, CHUNK, CHUNK, USAGE, DONE], [CHUNK, CHUNK, DONE]],
    ids=["cut", "a chunk too many", "uncounted"],
)
async def test_anything_but_a_whole_answer_fails(
    clients: Clients, scripted: Scripted, events: list[bytes]
) -> None:
    scripted.events = events
    with pytest.raises(RuntimeError):
        await clients.send(ASK)


async def test_an_error_fails(clients: Clients, scripted: Scripted) -> None:
    scripted.status = 404
    with pytest.raises(RuntimeError, match="404"):
        await clients.send(ASK)
