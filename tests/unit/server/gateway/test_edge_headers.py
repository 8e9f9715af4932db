"""What a client may put into a request's header, and how long it may take, on real sockets."""

import asyncio
import contextlib

import pytest

from tunery_server.config import Settings
from tunery_server.gateway.connection import MAX_HEADER_BYTES, MAX_HEADERS

from .sockets import PATIENCE_S, Answer, Edge, read_answer

BODY = b'{"model":"base","messages":[{"role":"user","content":"hi"}]}'
HEADER_TIMEOUT_S = 0.3
SIZED = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"
TLS_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xa5" * 500


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"header_timeout_s": HEADER_TIMEOUT_S})


def refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code)
    assert answer.closed


class TestSize:
    @pytest.mark.parametrize("size", [70_000, 2**20, 20 * 2**20])
    async def test_a_large_header_is_refused(self, edge: Edge, size: int) -> None:
        header = edge.request("GET", "/v1/models", f"X: {'x' * size}")
        refused(await edge.send(header), 431, "headers_too_large")
        assert await edge.is_well()

    @pytest.mark.parametrize("count", [1000, 100_000])
    async def test_many_headers_are_refused(self, edge: Edge, count: int) -> None:
        header = edge.request("GET", "/v1/models", *(f"X{i}: 1" for i in range(count)))
        refused(await edge.send(header), 431, "headers_too_large")
        assert await edge.is_well()

    async def test_a_long_request_line_is_refused(self, edge: Edge) -> None:
        header = edge.request("GET", "/v1/" + "x" * MAX_HEADER_BYTES)
        refused(await edge.send(header), 431, "headers_too_large")

    @pytest.mark.parametrize(("beyond", "status"), [(0, 200), (1, 431)])
    async def test_the_limits_are_exact(self, edge: Edge, beyond: int, status: int) -> None:
        """Host, Authorization and Content-Type make the first three headers."""
        lines = [f"X{i}: 1" for i in range(MAX_HEADERS - 3 + beyond)]
        assert (await edge.send(edge.request("GET", "/v1/models", *lines))).status == status
        filling = MAX_HEADER_BYTES - len(edge.request("GET", "/v1/models?", "X: ")) + len("\r\n")
        wide = edge.request("GET", "/v1/models?", f"X: {'x' * (filling + beyond)}")
        assert (await edge.send(wide)).status == status


class TestDeadline:
    async def test_a_slow_header_is_cut_off(self, edge: Edge) -> None:
        async with asyncio.timeout(PATIENCE_S), edge.connect() as (reader, writer):
            answer = asyncio.create_task(read_answer(reader))
            for byte in edge.request("GET", "/v1/models"):
                if answer.done():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(HEADER_TIMEOUT_S / 20)
            refused(await answer, 408, "request_timeout")

    async def test_half_open_headers_hurt_nobody(self, edge: Edge) -> None:
        half = edge.request("GET", "/v1/models")[:40]
        asked = [asyncio.create_task(edge.send(half)) for _ in range(500)]
        assert await edge.is_well()
        for answer in await asyncio.gather(*asked):
            refused(answer, 408, "request_timeout")
        await edge.until_closed()

    async def test_idle_connections_hurt_nobody_and_end(self, edge: Edge) -> None:
        async with contextlib.AsyncExitStack() as stack:
            idle = [await stack.enter_async_context(edge.connect()) for _ in range(2000)]
            assert await edge.is_well()
            ends = await asyncio.gather(*(reader.read() for reader, _ in idle))
        assert set(ends) == {b""}
        await edge.until_closed()

    async def test_the_next_request_of_a_connection_has_a_deadline_too(self, edge: Edge) -> None:
        async with asyncio.timeout(PATIENCE_S), edge.connect() as (reader, writer):
            writer.write(edge.request("GET", "/v1/models"))
            assert (await read_answer(reader)).status == 200
            await asyncio.sleep(2 * HEADER_TIMEOUT_S)
            writer.write(edge.request("GET", "/v1/models")[:-2])
            refused(await read_answer(reader), 408, "request_timeout")


class TestFraming:
    @pytest.mark.parametrize(
        "lines",
        [
            [SIZED, CHUNKED],
            [CHUNKED, SIZED],
            [SIZED, "Content-Length: 5"],
            ["Content-Length: -1"],
            ["Content-Length: 1e3"],
            ["Content-Length: 5, 6"],
            ["Content-Length: ٣"],
            ["Content-Length: " + "9" * 50],
            ["Transfer-Encoding: xchunked"],
            ["Transfer-Encoding: gzip, chunked"],
            [CHUNKED, CHUNKED],
            ["Content-Length : 5"],
            ["Host: other", SIZED],
            ["X: a\0b", SIZED],
        ],
    )
    async def test_a_length_that_can_be_read_in_two_ways_is_refused(
        self, edge: Edge, lines: list[str]
    ) -> None:
        request = edge.request("POST", "/v1/chat/completions", *encoded(lines), body=BODY)
        refused(await edge.send(request), 400, "invalid_http")
        assert not edge.gateway.engine.requests

    async def test_chunks_in_the_old_protocol_are_refused(self, edge: Edge) -> None:
        request = edge.request("POST", "/v1/chat/completions", CHUNKED, body=BODY)
        answer = await edge.send(request.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        refused(answer, 400, "invalid_http")

    @pytest.mark.parametrize("chunk", [b"zz\r\nhello\r\n", b"-1\r\n", b"5\r\nhelloXX"])
    async def test_a_broken_chunk_ends_the_connection(self, edge: Edge, chunk: bytes) -> None:
        head = edge.request("POST", "/v1/chat/completions", CHUNKED)
        refused(await edge.send(head, b"4\r\nabcd\r\n", chunk), 400, "invalid_http")
        assert not edge.gateway.engine.requests

    @pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "GZIP", "identity, gzip"])
    async def test_a_compressed_body_is_refused(self, edge: Edge, coding: str) -> None:
        line = f"Content-Encoding: {coding}"
        for body in (BODY, b"\x1f\x8b\x08\x00"):
            request = edge.request("POST", "/v1/chat/completions", line, body=body)
            refused(await edge.send(request), 415, "unsupported_media_type")


class TestOtherProtocols:
    @pytest.mark.parametrize(
        "sent",
        [
            b"GET /v1/models\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            TLS_HELLO,
            b"\r\n\r\n",
            b"\0" * 100,
            b"GET /v1/models HTTP/9.9\r\n\r\n",
            b"GET /v1/models HTTP/1.1\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            b"GET /v1/\xff HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nFLUSHALL\r\n\r\n",
        ],
    )
    async def test_what_is_no_request_gets_an_error(self, edge: Edge, sent: bytes) -> None:
        answer = await edge.send(sent)
        assert answer.status in {400, 404}
        assert answer.code in {"invalid_http", "not_found"}
        assert await edge.is_well()

    async def test_an_upgrade_is_not_taken(self, edge: Edge) -> None:
        upgrade = [
            *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        answer = await edge.send(edge.request("GET", "/v1/realtime?model=base", *upgrade))
        assert (answer.status, answer.code) == (404, "not_found")
        answer = await edge.send(edge.request("GET", "/v1/completions", *upgrade))
        assert (answer.status, answer.code) == (405, "method_not_allowed")


def encoded(lines: list[str]) -> list[str]:
    """Text of any kind as the characters that its bytes are in Latin-1."""
    return [line.encode().decode("latin-1") for line in lines]
