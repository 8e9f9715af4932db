"""Multipart bodies that are made to hurt: refused early, and never held in memory or on disk."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from starlette.types import Message, Scope

from tunery_server.config import Settings
from tunery_server.gateway.multipart import BATCH_BYTES, MAX_OVERHEAD_BYTES

from .composed import Gateway
from .test_files import BOUNDARY, END, PURPOSE, part, stored

PIECE = 2**16
MAX_FILE_BYTES = 8 * 2**20
NEVER = 2**40
"""A body that does not end: whoever reads on is cut off by the test's time-out."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_file_bytes": MAX_FILE_BYTES, "stall_timeout_s": 1.0})


class Sender:
    """A client that sends a body piece by piece and goes once it has an answer."""

    def __init__(
        self, *beginning: bytes, filler: bytes = b"x", size: int = 0, end: bytes = b""
    ) -> None:
        self.sent = 0
        self.status = 0
        self.body = b""
        self._pieces = _pieces(b"".join(beginning), filler, size, end)

    async def ask(self, gateway: Gateway, **headers: str) -> dict[str, Any]:
        async with asyncio.timeout(60):
            await gateway.app(_scope(gateway, headers), self._receive, self._hear)
        answer: dict[str, Any] = json.loads(self.body) if self.body else {}
        return answer

    async def _receive(self) -> Message:
        await asyncio.sleep(0)
        piece = None if self.status else next(self._pieces, None)
        if piece is None:
            return {"type": "http.disconnect"}
        self.sent += len(piece)
        return {"type": "http.request", "body": piece, "more_body": True}

    async def _hear(self, message: Message) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")


def _pieces(beginning: bytes, filler: bytes, size: int, end: bytes) -> Iterator[bytes]:
    yield beginning
    piece = filler * (PIECE // len(filler))
    for _ in range(size // len(piece)):
        yield piece
    yield end


def opening(disposition: str) -> bytes:
    return f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n".encode()


FILE_HEAD = opening('form-data; name="file"; filename="a"') + b"\r\n"
TEXT_HEAD = opening('form-data; name="purpose"') + b"\r\n"
ANOTHER_PART = part("x", b"y")

BAD: dict[str, tuple[tuple[bytes, ...], bytes]] = {
    "part-without-filename": ((opening('form-data; name="file"'), b"\r\n"), b"x"),
    "endless-field": ((TEXT_HEAD,), b"x"),
    "endless-header-value": ((opening('form-data; name="file"; filename="a"'), b"X: "), b"x"),
    "endless-header-name": ((opening('form-data; name="file"; filename="a"'),), b"x"),
    "endless-headers": ((opening('form-data; name="file"; filename="a"'),), b"X: y\r\n"),
    "parts": ((PURPOSE,), ANOTHER_PART),
    "the-same-part": ((), PURPOSE),
    "preamble": ((), b"x"),
    "preamble-of-lines": ((), b"\r\n"),
    "preamble-that-is-skipped": ((), b"\rx\n"),
    "wrong-boundary": ((), b"--other\r\n"),
    "epilogue": ((PURPOSE, part("file", b"x", "a"), END), b"x"),
    "boundary-in-a-file": ((PURPOSE, FILE_HEAD), f"\r\n--{BOUNDARY}x".encode()),
    "nameless": ((opening("form-data"), b"\r\n"), b"x"),
    "another-disposition": ((opening('attachment; name="file"; filename="a"'), b"\r\n"), b"x"),
    "no-disposition": ((f"--{BOUNDARY}\r\n\r\n".encode(),), b"x"),
    "latin-name": ((opening('form-data; name="purpose"'), b"\r\n\xff\r\n", PURPOSE), b"x"),
}


@pytest.mark.parametrize(("beginning", "filler"), BAD.values(), ids=BAD)
async def test_an_endless_body_is_refused_early(
    gateway: Gateway, beginning: tuple[bytes, ...], filler: bytes
) -> None:
    sender = Sender(*beginning, filler=filler, size=NEVER)
    body = await sender.ask(gateway)
    assert (sender.status, body["error"]["type"]) == (400, "invalid_request_error")
    assert sender.sent <= len(b"".join(beginning)) + MAX_OVERHEAD_BYTES + 2 * PIECE
    assert stored(gateway) == []


async def test_a_body_with_two_lengths_is_refused(gateway: Gateway) -> None:
    sender = Sender(PURPOSE, FILE_HEAD, size=NEVER)
    body = await sender.ask(gateway, **{"content-length": "10"})
    assert (sender.status, body["error"]["code"]) == (400, "invalid_http")
    assert sender.sent == 0


async def test_an_endless_file_is_cut_off_at_its_limit(gateway: Gateway) -> None:
    sender = Sender(PURPOSE, FILE_HEAD, size=NEVER)
    body = await sender.ask(gateway)
    assert (sender.status, body["error"]["code"]) == (413, "request_too_large")
    assert sender.sent <= MAX_FILE_BYTES + BATCH_BYTES + 2 * PIECE
    assert stored(gateway) == []


async def post(gateway: Gateway, pieces: AsyncIterator[bytes]) -> httpx2.Response:
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    async with gateway.http() as http, asyncio.timeout(60):
        return await http.post("/v1/files", content=pieces, headers={"content-type": content_type})


async def test_memory_is_flat_while_a_file_comes(gateway: Gateway) -> None:
    async def body() -> AsyncIterator[bytes]:
        end = b"\r\n" + part("purpose", b"evals") + END
        for piece in _pieces(FILE_HEAD, b"x", MAX_FILE_BYTES, end):
            yield piece

    tracemalloc.start()
    try:
        answer = await post(gateway, body())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.status_code == 200, "a purpose may come after its file"
    assert answer.json()["bytes"] == MAX_FILE_BYTES
    assert peak < MAX_FILE_BYTES / 2


@pytest.mark.parametrize("cut", [1, 3, len(END), len(END) + 5])
async def test_a_form_that_is_cut_off_is_refused(gateway: Gateway, cut: int) -> None:
    whole = part("purpose", b"evals") + part("file", b"content", "a") + END[:-2]

    async def body() -> AsyncIterator[bytes]:
        yield whole[:-cut]

    answer = await post(gateway, body())
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_value")
    assert stored(gateway) == []


async def test_pieces_may_be_cut_anywhere(gateway: Gateway) -> None:
    content = b"a\r\n--frontie\r\n--frontier-\r-\r\n\r\r\n--" + bytes(range(256))
    whole = part("purpose", b"evals") + part("file", content, "ä.txt") + END

    async def bytewise() -> AsyncIterator[bytes]:
        for index in range(len(whole)):
            yield whole[index : index + 1]

    answer = await post(gateway, bytewise())
    file = answer.json()
    assert (answer.status_code, file["filename"]) == (200, "ä.txt")
    async with gateway.http() as http:
        assert (await http.get(f"/v1/files/{file['id']}/content")).content == content


@pytest.mark.parametrize("size", [0, 2**21], ids=["before-the-first-write", "after-it"])
async def test_a_client_that_goes_away_leaves_nothing(gateway: Gateway, size: int) -> None:
    sender = Sender(PURPOSE, FILE_HEAD, size=size)
    await sender.ask(gateway)
    assert sender.sent >= size
    assert sender.status == 0
    assert stored(gateway) == []


async def test_a_client_that_stops_sending_is_refused(gateway: Gateway) -> None:
    """It is there still, as one that was suspended is."""
    begun = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield PURPOSE + FILE_HEAD + bytes(2**21)
        begun.set()
        await asyncio.Event().wait()

    answer = await post(gateway, stalling())
    assert begun.is_set()
    assert (answer.status_code, answer.json()["error"]["code"]) == (408, "request_timeout")
    assert stored(gateway) == []


def _scope(gateway: Gateway, headers: dict[str, str]) -> Scope:
    all_headers = {
        "host": "tunery",
        "authorization": f"Bearer {gateway.key}",
        "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        "transfer-encoding": "chunked",
    } | headers
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/files",
        "raw_path": b"/v1/files",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in all_headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
