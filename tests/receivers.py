"""Receivers of webhooks on loopback: they count connections, and answer as a test says."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp.abc import AbstractResolver, ResolveResult

Respond = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes


def answering(status: int, *headers: str) -> Respond:
    """An empty answer."""

    async def respond(writer: asyncio.StreamWriter) -> None:
        lines = (f"HTTP/1.1 {status} Whatever", "Content-Length: 0", *headers, "", "")
        writer.write("\r\n".join(lines).encode())

    return respond


async def hanging(writer: asyncio.StreamWriter) -> None:
    """Never an answer."""
    await asyncio.Event().wait()


async def endless(writer: asyncio.StreamWriter) -> None:
    """An answer that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + bytes(2**16) + b"\r\n")
        await writer.drain()


async def endless_headers(writer: asyncio.StreamWriter) -> None:
    """Headers that never end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x-filler: " + b"a" * 1000 + b"\r\n")
        await writer.drain()


async def nonsense(writer: asyncio.StreamWriter) -> None:
    """No HTTP."""
    writer.write(b"220 mail.example.com ESMTP\r\n")


class Receiver:
    """Listens while entered. ``respond`` may be changed between requests."""

    def __init__(
        self,
        respond: Respond | None = None,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self.respond = respond or answering(200)
        self.port = port
        self.connections = 0
        self.received: list[Received] = []
        self._tls = tls
        self._address = address
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"

    @property
    def host(self) -> str:
        """Its entry in the operator's list."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Receiver":
        self._server = await asyncio.start_server(
            self._connected, self._address, self.port, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.close_all()
        await asyncio.gather(*self._open, return_exceptions=True)

    def close_all(self) -> None:
        """Hang up on everybody."""
        for task in self._open:
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            self.received.append(await _request(reader))
            await self.respond(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side hung up, or close_all did
        finally:
            self._open.discard(task)
            writer.close()


class NameServer(AbstractResolver):
    """Every name has these addresses; may be changed between look-ups."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses
        ]

    async def close(self) -> None: ...


async def _request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(head[0], headers, body)
