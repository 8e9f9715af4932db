"""The engine's client against real HTTP on a Unix socket, served as vLLM serves it or worse."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from tunery_server.engine.contract import EngineStatus
from tunery_server.engine.vllm_http import ADAPTERS_PATH, VllmEngine
from tunery_server.errors import EngineRefused, EngineTooSlow, EngineUnavailable

CHAT = "/v1/chat/completions"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """An HTTP server with one handler, which a test replaces."""

    def __init__(self) -> None:
        self.handler: Handler = self._refuse
        self.seen: list[tuple[str, str, bytes, str | None]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        key = request.headers.get("Authorization")
        self.seen.append((request.method, request.path, body, key))
        return await self.handler(request)

    async def _refuse(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "Unauthorized"}, status=401)

    def answers(self, **arguments: object) -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(**arguments)  # type: ignore[arg-type]

        self.handler = handler


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server, app = Server(), web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "engine.sock")).start()
    yield server
    await runner.cleanup()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[VllmEngine]:
    engine = VllmEngine(tmp_path / "engine.sock", lambda: "engine-key", request_timeout_s=0.2)
    yield engine
    await engine.close()


async def chunks(client: VllmEngine) -> list[bytes]:
    async with client.forward(CHAT, b'{"a":1}') as reply:
        return [chunk async for chunk in reply.chunks()]


async def test_status_is_one_call_with_the_key(server: Server, client: VllmEngine) -> None:
    server.answers(text='{"boot_id": "b", "adapters": ["x", "y"], "special_tokens": ["<s>"]}')
    assert await client.status() == EngineStatus("b", frozenset({"x", "y"}), frozenset({"<s>"}))
    assert server.seen == [("GET", ADAPTERS_PATH, b"", "Bearer engine-key")]


async def test_adapters_are_loaded_and_unloaded(server: Server, client: VllmEngine) -> None:
    server.answers(text="{}")
    await client.load("ft:x", Path("/a/v1"))
    await client.unload("ft:x")
    assert [seen[:3] for seen in server.seen] == [
        ("POST", ADAPTERS_PATH, b'{"name": "ft:x", "path": "/a/v1"}'),
        ("DELETE", ADAPTERS_PATH, b'{"name": "ft:x"}'),
    ]


async def test_bodies_pass_as_they_are(server: Server, client: VllmEngine) -> None:
    server.answers(body=b'{"b":2}')
    assert b"".join(await chunks(client)) == b'{"b":2}'
    assert server.seen[0][:3] == ("POST", CHAT, b'{"a":1}')


@pytest.mark.parametrize(
    ("status", "body", "message", "param"),
    [
        (400, '{"error": {"message": "no", "param": "n", "code": 400}}', "no", "n"),
        (404, '{"error": {"message": "no", "type": "x", "code": 404}}', "no", None),
        (401, '{"error": "Unauthorized"}', "refused", None),
        (404, '{"detail": "Not Found"}', "refused", None),
        (500, "Internal Server Error", "refused", None),
        (503, "", "refused", None),
        (400, "[]", "refused", None),
    ],
)
async def test_an_error_of_the_engine_is_a_refusal(
    server: Server, client: VllmEngine, status: int, body: str, message: str, param: str | None
) -> None:
    server.answers(text=body, status=status)
    with pytest.raises(EngineRefused, match=message) as raised:
        await chunks(client)
    assert (raised.value.status, raised.value.param) == (status, param)


async def test_an_engine_that_is_not_there_is_unavailable(client: VllmEngine) -> None:
    for call in (client.status(), client.load("x", Path("/x")), client.metrics(), chunks(client)):
        with pytest.raises(EngineUnavailable):
            await call


async def test_metrics_come_without_a_line_for_every_set_of_adapters(
    server: Server, client: VllmEngine
) -> None:
    kept = b"# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 1.0\n"
    name = b"vllm:lora_requests_info"
    dropped = b"# TYPE " + name + b" gauge\n" + name + b'{running_lora_adapters="a,b"} 1.7e+09\n'
    server.answers(body=kept + dropped + kept)
    assert await client.metrics() == kept + kept


async def test_an_engine_that_has_no_key_yet_is_unavailable(tmp_path: Path) -> None:
    engine = VllmEngine(tmp_path / "s", (tmp_path / "no.key").read_text, request_timeout_s=1)
    with pytest.raises(EngineUnavailable):
        await engine.status()


@pytest.mark.parametrize("cut", [0, 1])
async def test_an_engine_that_breaks_off_is_unavailable(
    server: Server, client: VllmEngine, cut: int
) -> None:
    async def breaks_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"data: 1\n\n" * cut)
        assert request.transport is not None
        request.transport.abort()
        return response

    server.handler = breaks_off
    with pytest.raises(EngineUnavailable):
        await chunks(client)


async def test_an_engine_that_never_answers_is_unavailable(
    server: Server, client: VllmEngine
) -> None:
    async def hangs(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    server.handler = hangs
    with pytest.raises(EngineTooSlow):
        await chunks(client)


async def test_leaving_a_reply_closes_the_connection(server: Server, client: VllmEngine) -> None:
    gone = asyncio.Event()

    async def streams(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"data: 1\n\n")
                await asyncio.sleep(0.001)
        finally:
            gone.set()

    server.handler = streams
    async with client.forward(CHAT, b"{}") as reply:
        assert await anext(aiter(reply.chunks()))
    async with asyncio.timeout(60):
        await gone.wait()
