"""The composed gateway behind a real uvicorn on a loopback port, and clients that misbehave."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import orjson
import uvicorn

from tunery_server.gateway.app import http_options

from .composed import Gateway

PATIENCE_S = 60.0
"""For what takes milliseconds: a machine may be slow, but a test must not hang."""
BODY = {"model": "base", "messages": [{"role": "user", "content": "hi"}]}


@dataclass(frozen=True)
class Answer:
    """One HTTP answer as it came over the wire, and whether the connection was closed after it."""

    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool

    @property
    def code(self) -> str | None:
        """The error's code. Fails unless the answer is an error in OpenAI's shape."""
        assert self.headers["content-type"] == "application/json"
        assert self.headers["x-request-id"]
        error = orjson.loads(self.body)["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        code: str | None = error["code"]
        return code


@dataclass(frozen=True)
class Edge:
    """A gateway that listens."""

    gateway: Gateway
    server: uvicorn.Server
    port: int

    @property
    def open_connections(self) -> int:
        return len(self.server.server_state.connections)

    def http(self, key: str | None = None) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {key or self.gateway.key}"}
        return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=headers)

    @contextlib.asynccontextmanager
    async def connect(
        self, *, receive_buffer: int | None = None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """One bare connection; a small ``receive_buffer`` makes a client that takes little."""
        connection = socket.socket()
        connection.setblocking(False)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=2**12)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def send(self, *pieces: bytes, timeout_s: float = PATIENCE_S) -> Answer:
        """Send bytes as they are, until an answer comes; a server that hangs up is no error."""
        async with asyncio.timeout(timeout_s), self.connect() as (reader, writer):
            answer = asyncio.create_task(read_answer(reader))
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    if not answer.done():
                        writer.write(piece)
                        await writer.drain()
            return await answer

    def request(
        self,
        method: str = "POST",
        path: str = "/v1/chat/completions",
        *lines: str,
        body: bytes = b"",
    ) -> bytes:
        """A request's bytes, with a key; its type and length are added unless a line gives them."""
        given = {line.partition(":")[0].lower() for line in lines}
        head = [f"{method} {path} HTTP/1.1", "Host: tunery"]
        head.append(f"Authorization: Bearer {self.gateway.key}")
        if "content-type" not in given:
            head.append("Content-Type: application/json")
        if body and not given & {"content-length", "transfer-encoding"}:
            head.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*head, *lines, "", ""]).encode("latin-1") + body

    async def is_well(self) -> bool:
        """A good client gets its answer."""
        async with asyncio.timeout(PATIENCE_S), self.http() as http:
            return (await http.post("/v1/chat/completions", json=BODY)).status_code == 200

    async def until_closed(self, within_s: float = PATIENCE_S) -> None:
        """Wait until no connection is left."""
        async with asyncio.timeout(within_s):
            while self.open_connections:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.005)


class _PromptServer(uvicorn.Server):
    """Ends when it is told to, where uvicorn's own would sleep twice for a tenth of a second."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()


@contextlib.asynccontextmanager
async def listening(gateway: Gateway) -> AsyncIterator[Edge]:
    """``gateway`` on a free port, with the protocol and the limits of production."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    options = {**http_options(gateway.settings, gateway.app), "timeout_graceful_shutdown": 1}
    server = _PromptServer(uvicorn.Config(gateway.app, lifespan="off", **options))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.001)
    try:
        yield Edge(gateway, server, listener.getsockname()[1])
    finally:
        server.should_exit = True
        await serving


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """The next answer, and whether the server closes the connection when it says so."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    closed = headers.get("connection") == "close"
    if closed:
        with contextlib.suppress(ConnectionError):
            assert not await reader.read(), "bytes after the answer"
    return Answer(int(first.split()[1]), headers, body, closed)
