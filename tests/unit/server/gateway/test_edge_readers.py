"""Clients that do not take their answer, on real sockets."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from tests.engines import Fault
from tunery_server.config import Settings
from tunery_server.gateway.connection import MAX_HEADER_BYTES

from .sockets import BODY, PATIENCE_S, Edge

STALL_S = 1.0
MAX_BUFFERED_BYTES = 2**20
FILE_BYTES = 8 * 2**20

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"stall_timeout_s": STALL_S})


@asynccontextmanager
async def streaming(edge: Edge) -> AsyncIterator[Connection]:
    """A stream that never ends, to a client with little room."""
    edge.gateway.engine.fault = Fault.FLOODS
    async with edge.connect(receive_buffer=4096) as (reader, writer):
        writer.write(edge.request(body=orjson.dumps({**BODY, "stream": True})))
        await edge.gateway.engine.begun.wait()
        assert edge.gateway.engine.running == 1
        yield reader, writer


async def freed(edge: Edge) -> None:
    """The client was cut off, and nothing is left of it."""
    async with asyncio.timeout(PATIENCE_S):
        await edge.gateway.engine.idle.wait()
    await edge.until_closed()
    edge.gateway.engine.fault = Fault.NONE
    assert await edge.is_well()


async def test_a_stream_that_nobody_reads_is_ended(edge: Edge) -> None:
    async with streaming(edge):
        await freed(edge)
    assert edge.gateway.engine.flooded < MAX_BUFFERED_BYTES


async def test_a_stream_that_is_read_byte_by_byte_is_ended(edge: Edge) -> None:
    async with streaming(edge) as (reader, _):
        reading = asyncio.create_task(trickle(reader))
        await freed(edge)
        reading.cancel()
    assert edge.gateway.engine.flooded < MAX_BUFFERED_BYTES


async def trickle(reader: asyncio.StreamReader) -> None:
    while await reader.read(1):  # noqa: ASYNC110 - it is slow on purpose
        await asyncio.sleep(STALL_S / 10)


async def test_a_slow_reader_that_goes_on_is_left_alone(edge: Edge) -> None:
    async with streaming(edge) as (reader, _):
        for _ in range(40):
            assert await reader.read(4096)
            await asyncio.sleep(STALL_S / 8)
        assert edge.gateway.engine.running == 1


async def test_a_stream_that_waits_for_the_engine_is_left_alone(edge: Edge) -> None:
    edge.gateway.engine.fault = Fault.STALLS
    async with edge.http() as http:
        request = http.build_request("POST", "/v1/chat/completions", json={**BODY, "stream": True})
        answer = await http.send(request, stream=True)
        lines = answer.aiter_lines()
        await anext(lines)
        await asyncio.sleep(4 * STALL_S)
        edge.gateway.engine.go.set()
        assert [line async for line in lines if line][-1] == "data: [DONE]"
        await answer.aclose()


@pytest.fixture
async def file_id(edge: Edge) -> str:
    async with edge.http() as http:
        files = {"file": ("a.bin", b"x" * FILE_BYTES)}
        answer = await http.post("/v1/files", data={"purpose": "user_data"}, files=files)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def test_a_file_that_nobody_reads_is_cut_off(edge: Edge, file_id: str) -> None:
    async with edge.connect(receive_buffer=4096) as (_, writer):
        writer.write(edge.request("GET", f"/v1/files/{file_id}/content"))
        await asyncio.sleep(STALL_S / 2)
        assert edge.open_connections == 1
        buffered = max(sizes(edge))
        assert 0 < buffered < MAX_BUFFERED_BYTES
        await edge.until_closed()


def sizes(edge: Edge) -> list[int]:
    connections = edge.server.server_state.connections
    return [connection.transport.get_write_buffer_size() for connection in connections]


async def test_answers_that_nobody_reads_do_not_pile_up(edge: Edge) -> None:
    """Requests one after the other on a connection whose answers are not taken."""
    async with edge.connect(receive_buffer=4096) as (_, writer):
        for _ in range(20_000):
            writer.write(edge.request("GET", "/v1/models"))
        await edge.until_closed()
    assert await edge.is_well()


@pytest.mark.parametrize(
    "ranges",
    [
        "bytes=" + ",".join(["0-"] * 10_000),
        "bytes=" + ",".join(f"{start}-{start}" for start in range(10_000)),
        "bytes=5-1",
        "bytes=-0",
        "pages=1-2",
        "bytes=" + "9" * 30_000 + "-",
    ],
)
async def test_odd_ranges_cost_nothing(edge: Edge, file_id: str, ranges: str) -> None:
    """Ranges are not served: the answer is the whole file."""
    async with edge.http() as http:
        request = http.build_request(
            "GET", f"/v1/files/{file_id}/content", headers={"Range": ranges}
        )
        started = time.process_time()
        answer = await http.send(request, stream=True)
        assert time.process_time() - started < 0.5
        content = await answer.aread()
    assert answer.status_code == (431 if len(ranges) > MAX_HEADER_BYTES else 200)
    assert len(content) == FILE_BYTES or answer.status_code == 431
