import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from prometheus_client import REGISTRY
from starlette.types import Message, Receive, Scope, Send

from tunery_server.config import Settings
from tunery_server.errors import TooLarge
from tunery_server.gateway.body import BoundedBody
from tunery_server.gateway.disconnect import ClientGone
from tunery_server.gateway.middleware import Observed

from .composed import Gateway

MAX_BODY_BYTES = 2000
CHAT = b'{"model": "base", "messages": [{"role": "user", "content": "%s"}]}'


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_body_bytes": MAX_BODY_BYTES})


async def post(gateway: Gateway, *pieces: bytes, **headers: str) -> int:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async with gateway.http() as http:
        sent = {"content-type": "application/json", **headers}
        answer = await http.post("/v1/chat/completions", content=body(), headers=sent)
    if answer.status_code != 200:
        assert answer.json()["error"]["code"] == "request_too_large"
    return answer.status_code


def body_of(size: int) -> bytes:
    return CHAT % (b"x" * (size - len(CHAT) + 2))


async def test_a_body_at_the_limit_is_read(gateway: Gateway) -> None:
    body = body_of(MAX_BODY_BYTES)
    assert await post(gateway, body[:999], body[999:]) == 200


async def test_a_body_beyond_the_limit_is_refused_by_its_bytes(gateway: Gateway) -> None:
    body = body_of(MAX_BODY_BYTES + 1)
    assert await post(gateway, body[:999], body[999:]) == 413


async def test_a_body_beyond_the_limit_is_refused_by_its_declared_length(gateway: Gateway) -> None:
    assert await post(gateway, b"", **{"content-length": str(MAX_BODY_BYTES + 1)}) == 413


async def test_a_body_that_lies_about_its_length_is_counted(gateway: Gateway) -> None:
    assert await post(gateway, body_of(MAX_BODY_BYTES + 1), **{"content-length": "10"}) == 413


@pytest.mark.parametrize("length", ["-1", "1e9", "٣", "9" * 5000])
async def test_an_odd_length_is_not_a_server_error(gateway: Gateway, length: str) -> None:
    async with gateway.http() as http:
        headers = [(b"content-length", length.encode()), (b"content-type", b"application/json")]
        answer = await http.post(
            "/v1/chat/completions", content=body_of(MAX_BODY_BYTES), headers=headers
        )
    assert answer.status_code < 500


@pytest.mark.parametrize("given", ["abc-1", "x" * 64])
async def test_a_clean_request_id_is_echoed(gateway: Gateway, given: str) -> None:
    async with gateway.http() as http:
        answer = await http.get("/livez", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a\n", "é", "<script>"])
async def test_any_other_request_id_is_replaced(gateway: Gateway, given: str | None) -> None:
    headers = [] if given is None else [(b"x-request-id", given.encode("latin-1"))]
    async with gateway.http() as http:
        answer = await http.get("/livez", headers=headers)
    assert re.fullmatch("req_[0-9a-f]{32}", answer.headers["x-request-id"])


async def test_a_bug_is_a_500_that_tells_nothing(gateway: Gateway) -> None:
    gateway.app.state.services = None
    async with gateway.http() as http:
        answer = await http.get("/v1/models")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.json()["error"] == {
        "message": "The server made a mistake. The log has the details.",
        "type": "server_error",
        "param": None,
        "code": None,
    }


def app_that(act: Callable[[Receive, Send], Awaitable[None]]) -> Observed:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await act(receive, send)

    return Observed(app)


@pytest.mark.parametrize(("error", "status"), [(ClientGone, "499"), (RuntimeError, "500")])
async def test_what_ends_without_an_answer_is_counted(error: type[Exception], status: str) -> None:
    async def fail(receive: Receive, send: Send) -> None:
        raise error

    before = count(status)
    await app_that(fail)(scope(), nothing, ignored)
    assert count(status) == before + 1


async def test_other_protocols_are_passed_on() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    bounded = BoundedBody(
        app,
        max_bytes=1,
        upload_paths=re.compile("/v1/files"),
        max_upload_bytes=1,
        stall_timeout_s=1,
    )
    await Observed(bounded)({"type": "lifespan"}, nothing, ignored)
    assert seen == ["lifespan"]


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [("POST", "/v1/files", 100), ("GET", "/v1/files", 10), ("POST", "/v1/files/x", 10)],
)
async def test_only_uploads_may_be_large(method: str, path: str, limit: int) -> None:
    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * size, "more_body": False}

    bounded = BoundedBody(
        read,
        max_bytes=10,
        upload_paths=re.compile("/v1/files"),
        max_upload_bytes=100,
        stall_timeout_s=1,
    )
    size = limit
    await bounded(scope(method, path), receive, ignored)
    size = limit + 1
    with pytest.raises(TooLarge, match=f"larger than {limit} bytes"):
        await bounded(scope(method, path), receive, ignored)


def scope(method: str = "GET", path: str = "/") -> Scope:
    headers = [(b"transfer-encoding", b"chunked")]
    return {"type": "http", "method": method, "path": path, "headers": headers}


async def nothing() -> Message:
    raise AssertionError("nothing was to be read")


async def ignored(message: Message) -> None:
    pass


def count(status: str) -> float:
    labels = {"route": "unmatched", "method": "GET", "status": status}
    return REGISTRY.get_sample_value("tunery_http_requests_total", labels) or 0.0
