"""A client that goes away frees the engine at once."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest
from starlette.types import Message, Scope

from tests.engines import Fault
from tunery_server.gateway.disconnect import ClientGone, until_gone

from .composed import Gateway

BODY = {"model": "base", "messages": [{"role": "user", "content": "hi"}]}


class Client:
    """One connection, seen from the server: sends a body, and hangs up when it is told to."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        stream: bool,
        path: str = "/v1/chat/completions",
        body: dict[str, Any] = BODY,
    ) -> None:
        self.hang_up = asyncio.Event()
        self.received = bytearray()
        self.status: int | None = None
        self.heard = asyncio.Event()
        self._gateway = gateway
        self._path = path
        self._body: bytes | None = orjson.dumps({**body, "stream": stream})

    async def ask(self) -> None:
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [
                (b"authorization", f"Bearer {self._gateway.key}".encode()),
                (b"content-type", b"application/json"),
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        await self._gateway.app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.hang_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        if message.get("body"):
            self.received += message["body"]
            self.heard.set()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_goes_before_the_answer_frees_the_engine(
    gateway: Gateway, stream: bool
) -> None:
    gateway.engine.fault = Fault.SLOW
    client = Client(gateway, stream=stream)
    asking = asyncio.create_task(client.ask())
    async with asyncio.timeout(60):
        await gateway.engine.begun.wait()
        assert gateway.engine.running == 1
        client.hang_up.set()
        await asking
    assert gateway.engine.running == 0
    assert client.status is None


async def test_a_client_that_goes_during_a_stream_frees_the_engine(gateway: Gateway) -> None:
    gateway.engine.fault = Fault.STALLS
    client = Client(gateway, stream=True)
    asking = asyncio.create_task(client.ask())
    async with asyncio.timeout(60):
        await client.heard.wait()
        client.hang_up.set()
        await asking
    assert gateway.engine.running == 0
    assert client.status == 200
    assert b"error" not in client.received
    assert b"[DONE]" not in client.received


async def test_a_client_that_goes_leaves_no_task_and_no_place_behind(gateway: Gateway) -> None:
    tasks = len(asyncio.all_tasks())
    for stream in [True, False] * 40:
        gateway.engine.fault = Fault.SLOW
        gateway.engine.begun.clear()
        client = Client(gateway, stream=stream)
        asking = asyncio.create_task(client.ask())
        await gateway.engine.begun.wait()
        client.hang_up.set()
        await asking
    assert len(asyncio.all_tasks()) == tasks
    gateway.engine.fault = Fault.NONE
    places = gateway.settings.max_concurrent_requests
    async with gateway.http() as http:
        answers = await asyncio.gather(
            *(http.post("/v1/chat/completions", json=BODY) for _ in range(places))
        )
    assert {answer.status_code for answer in answers} == {200}


async def test_an_event_is_sent_as_soon_as_it_is_there(gateway: Gateway) -> None:
    gateway.engine.fault = Fault.STALLS
    client = Client(gateway, stream=True)
    asking = asyncio.create_task(client.ask())
    async with asyncio.timeout(60):
        await client.heard.wait()
        assert client.received.count(b"data: ") == 1
        gateway.engine.go.set()
        await asking
    assert client.received.endswith(b"data: [DONE]\n\n")


class TestUntilGone:
    async def test_the_result_is_handed_on(self) -> None:
        async def work() -> int:
            return 5

        assert await until_gone(asyncio.Event().wait, work()) == 5  # type: ignore[arg-type]

    async def test_a_failure_is_handed_on(self) -> None:
        async def work() -> int:
            raise KeyError

        with pytest.raises(KeyError):
            await until_gone(asyncio.Event().wait, work())  # type: ignore[arg-type]

    async def test_work_is_cancelled_and_cleaned_up(self) -> None:
        cleaned = asyncio.Event()

        async def source() -> AsyncGenerator[int, None]:
            try:
                await asyncio.Event().wait()
                yield 1
            finally:
                cleaned.set()

        async def gone() -> Message:
            return {"type": "http.disconnect"}

        with pytest.raises(ClientGone):
            await until_gone(gone, anext(source()))
        assert cleaned.is_set()
