"""Bodies that are too large, too slow or cut off, on real sockets."""

import asyncio
import contextlib
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tunery_server.config import Settings

from .sockets import PATIENCE_S, Answer, Edge, read_answer

MAX_BODY_BYTES = 20_000
MAX_FILE_BYTES = 2**20
STALL_S = 1.0
CHUNKED = "Transfer-Encoding: chunked"
FORM = "Content-Type: multipart/form-data; boundary=b"
CHAT = b'{"model":"base","messages":[{"role":"user","content":"%s"}]}'
ROW = b'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n'
FORM_START = (
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
)
FORM_END = b"\r\n--b--\r\n"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    limits = {
        "max_body_bytes": MAX_BODY_BYTES,
        "max_file_bytes": MAX_FILE_BYTES,
        "stall_timeout_s": STALL_S,
    }
    return settings.model_copy(update=limits)


@pytest.fixture(autouse=True)
def nothing_left_behind(settings: Settings) -> Iterator[None]:
    """No temporary file stays, neither in the folder of files nor as an open nameless one."""
    before = deleted_files()
    yield
    assert not list(settings.home.glob("files/.*"))
    assert deleted_files() <= before


def deleted_files() -> set[str]:
    links = Path("/proc/self/fd").iterdir()
    targets: set[str] = set()
    for link in links:
        with contextlib.suppress(OSError):
            targets.add(str(link.readlink()))
    return {target for target in targets if target.endswith("(deleted)")}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code)
    assert answer.closed


class TestSize:
    @pytest.mark.parametrize(("beyond", "status"), [(0, 200), (1, 413)])
    async def test_the_limit_is_exact(self, edge: Edge, beyond: int, status: int) -> None:
        body = CHAT % (b"x" * (MAX_BODY_BYTES - len(CHAT) + 2 + beyond))
        sized = edge.request(body=body)
        chunked = edge.request("POST", "/v1/chat/completions", CHUNKED) + chunk(body) + chunk(b"")
        for request in (sized, chunked):
            answer = await edge.send(request)
            assert answer.status == status
            assert answer.closed == (request is sized and status == 413)

    async def test_a_length_beyond_the_limit_is_refused_before_the_body_comes(
        self, edge: Edge
    ) -> None:
        line = f"Content-Length: {200 * 2**20}"
        refused(await edge.send(edge.request("POST", "/v1/files", FORM, line)), 413, TOO_LARGE)
        unknown = edge.request("POST", "/v1/files", FORM, line).replace(b"Bearer", b"Wrong")
        refused(await edge.send(unknown), 413, TOO_LARGE)

    @pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files"])
    async def test_an_endless_body_is_refused_in_flat_memory(self, edge: Edge, path: str) -> None:
        line = FORM if path == "/v1/files" else CHUNKED
        head = edge.request("POST", path, *{line, CHUNKED})
        piece = chunk(b"x" * 2**16)
        tracemalloc.start()
        try:
            pieces = [chunk(FORM_START)] if path == "/v1/files" else []
            answer = await edge.send(head, *pieces, *([piece] * 3200))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        refused(answer, 413, TOO_LARGE)
        assert peak < 8 * 2**20
        assert await edge.is_well()

    async def test_more_than_the_declared_length_is_not_read_as_body(self, edge: Edge) -> None:
        request = edge.request("POST", "/v1/files", FORM, "Content-Length: 10")
        answer = await edge.send(request + FORM_START + ROW * 10 + FORM_END)
        assert answer.status == 400


TOO_LARGE = "request_too_large"


class TestPace:
    @pytest.mark.parametrize("framing", ["sized", "chunked"])
    async def test_a_body_that_stalls_is_refused(self, edge: Edge, framing: str) -> None:
        line = CHUNKED if framing == "chunked" else "Content-Length: 500"
        half = b'5\r\n{"mod' if framing == "chunked" else b'{"mod'
        request = edge.request("POST", "/v1/chat/completions", line)
        async with asyncio.timeout(PATIENCE_S):
            refused(await edge.send(request, half), 408, "request_timeout")

    async def test_an_upload_that_stalls_is_refused(self, edge: Edge) -> None:
        request = edge.request("POST", "/v1/files", FORM, "Content-Length: 900000")
        async with asyncio.timeout(PATIENCE_S):
            answer = await edge.send(request, FORM_START, ROW * 4000)
            refused(answer, 408, "request_timeout")
        await edge.until_closed()

    async def test_a_trickle_is_a_stall(self, edge: Edge) -> None:
        request = edge.request("POST", "/v1/files", FORM, "Content-Length: 900000")
        async with asyncio.timeout(PATIENCE_S), edge.connect() as (reader, writer):
            answer = asyncio.create_task(read_answer(reader))
            writer.write(request + FORM_START)
            while not answer.done():
                writer.write(b"x")
                await asyncio.sleep(STALL_S / 20)
            refused(await answer, 408, "request_timeout")

    async def test_a_slow_upload_that_goes_on_is_taken(self, edge: Edge) -> None:
        body = FORM_START + ROW * 500 + FORM_END
        head = edge.request("POST", "/v1/files", FORM, f"Content-Length: {len(body)}")
        async with edge.connect() as (reader, writer):
            writer.write(head)
            for start in range(0, len(body), 5000):
                writer.write(body[start : start + 5000])
                await asyncio.sleep(STALL_S / 3)
            answer = await read_answer(reader)
        assert answer.status == 200
        assert not answer.closed

    async def test_time_that_the_server_takes_is_not_the_clients(self, edge: Edge) -> None:
        """The check of the dataset comes after the last byte, and may take long."""
        body = FORM_START + ROW * 9000 + FORM_END
        async with edge.http() as http:
            files = {"file": ("a.jsonl", body[len(FORM_START) : -len(FORM_END)])}
            answer = await http.post("/v1/files", data={"purpose": "fine-tune"}, files=files)
        assert answer.status_code == 200

    @pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files"])
    async def test_a_body_that_is_cut_off_leaves_nothing(self, edge: Edge, path: str) -> None:
        line = FORM if path == "/v1/files" else "Accept: */*"
        async with edge.connect() as (_, writer):
            writer.write(edge.request("POST", path, line, "Content-Length: 19000"))
            writer.write(FORM_START + ROW * 100)
            await writer.drain()
            await asyncio.sleep(0.05)
        await edge.until_closed()
        assert await edge.is_well()


class TestEarlyAnswers:
    async def test_a_small_unread_body_costs_no_connection(self, edge: Edge) -> None:
        request = edge.request(body=CHAT % b"hi")
        async with edge.connect() as (reader, writer):
            writer.write(request.replace(b"Bearer", b"Wrong"))
            assert (await read_answer(reader)).status == 401
            writer.write(request)
            assert (await read_answer(reader)).status == 200

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [("POST", "/v1/nothing", 404), ("PUT", "/v1/files", 405), ("POST", "/v1/files", 401)],
    )
    async def test_nobody_can_send_for_ever(
        self, edge: Edge, method: str, path: str, status: int
    ) -> None:
        """An answer that did not want the body ends the connection, however much is sent."""
        head = edge.request(method, path, CHUNKED)
        async with asyncio.timeout(PATIENCE_S), edge.connect() as (reader, writer):
            writer.write(head.replace(b"Bearer", b"Wrong") if status == 401 else head)
            flood = asyncio.create_task(send_for_ever(writer))
            answer = await read_answer(reader)
            assert answer.status == status
            assert answer.closed
            with contextlib.suppress(ConnectionError):
                await flood
        await edge.until_closed()

    async def test_a_client_that_sends_all_first_gets_its_answer(self, edge: Edge) -> None:
        """One that looks for an answer only after its last byte, as most do."""

        async def body() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"x" * 2**16

        async with edge.http() as http:
            answer = await http.post("/v1/files", content=body())
        assert answer.status_code in {413, 415}


async def send_for_ever(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(chunk(b"x" * 1000))
        await writer.drain()
        await asyncio.sleep(0.001)
