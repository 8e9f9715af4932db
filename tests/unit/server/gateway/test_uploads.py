"""Uploads in parts, as the stock client makes them, and as a broken one does."""

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import BadRequestError, RateLimitError
from sqlalchemy import update

from tunery_server.config import Settings
from tunery_server.records.tables import uploads

from .composed import Gateway
from .test_files import BOUNDARY, END, ROW, part
from .test_repeats import ForgetfulProxy, through

MAX_FILE_BYTES = 4 * 2**20
MAX_TOTAL_BYTES = 5 * 2**20
CREATE = {"bytes": 6, "filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "max_file_bytes": MAX_FILE_BYTES,
            "max_file_bytes_per_tenant": MAX_TOTAL_BYTES,
            "max_files_per_tenant": 4,
            "max_pending_uploads": 4,
        }
    )


def on_disk(gateway: Gateway) -> list[Path]:
    folders = [gateway.settings.home / "files", gateway.settings.home / "uploads"]
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


async def test_the_stock_client_uploads_a_file_in_parts(gateway: Gateway, tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_bytes(12 * ROW)
    md5 = hashlib.md5(12 * ROW, usedforsecurity=False).hexdigest()
    async with gateway.openai() as client:
        upload = await client.uploads.upload_file_chunked(
            file=path, mime_type="application/jsonl", purpose="fine-tune", part_size=100, md5=md5
        )
        assert (upload.status, upload.filename) == ("completed", "a.jsonl")
        assert upload.file is not None
        assert upload.file == await client.files.retrieve(upload.file.id)
        assert (await client.files.content(upload.file.id)).content == 12 * ROW
    assert [path.name for path in on_disk(gateway)] == [upload.file.id]


async def test_the_stock_client_says_all_that_it_can(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        upload = await client.uploads.create(
            bytes=6,
            filename="f",
            mime_type="mime_type",
            purpose="assistants",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
        assert (upload.status, upload.file) == ("pending", None)
        assert upload.expires_at == upload.created_at + 3600
        later, sooner = await asyncio.gather(
            client.uploads.parts.create(upload.id, data=b"def"),
            client.uploads.parts.create(upload.id, data=b"abc"),
        )
        assert sooner.upload_id == upload.id
        done = await client.uploads.complete(upload.id, part_ids=[sooner.id, later.id])
        assert done.file is not None
        assert done.file.expires_at == done.file.created_at + 3600
        assert (await client.files.content(done.file.id)).content == b"abcdef"
        with pytest.raises(BadRequestError):
            await client.uploads.cancel(upload.id)


async def test_the_stock_client_gives_an_upload_up(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        upload = await client.uploads.create(**CREATE)  # type: ignore[arg-type]
        await client.uploads.parts.create(upload.id, data=b"abc")
        assert (await client.uploads.cancel(upload.id)).status == "cancelled"
        with pytest.raises(BadRequestError):
            await client.uploads.parts.create(upload.id, data=b"def")
    assert on_disk(gateway) == []


async def test_every_answer_may_be_lost_twice(gateway: Gateway) -> None:
    """Each POST is sent three times; one upload with its parts and one file come of it."""

    class LosingTwo(ForgetfulProxy):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.headers.get("x-stainless-retry-count") == "0":
                self._losing = len(self.posts) + 2
            return await super().handle_async_request(request)

    content = 3 * ROW
    proxy = LosingTwo(gateway, losing=0)
    async with through(proxy, gateway) as client:
        upload = await client.uploads.upload_file_chunked(
            file=content,
            filename="a.jsonl",
            bytes=len(content),
            mime_type="application/jsonl",
            purpose="fine-tune",
            part_size=len(ROW),
        )
        files = [file.id async for file in client.files.list()]
    assert len(proxy.posts) == 3 * 5
    assert upload.file is not None
    assert files == [upload.file.id]
    assert [path.name for path in on_disk(gateway)] == files


async def post(gateway: Gateway, path: str, **request: Any) -> tuple[int, dict[str, Any]]:
    async with gateway.http() as http:
        answer = await http.post(f"/v1/uploads{path}", **request)
    body: dict[str, Any] = answer.json()
    return answer.status_code, body


async def begin(gateway: Gateway, **of: Any) -> str:
    status, upload = await post(gateway, "", json=CREATE | of)
    assert status == 200, upload
    return str(upload["id"])


BAD_CREATES: dict[str, tuple[dict[str, Any], int, str, str | None]] = {
    "no-bytes": ({"bytes": None}, 400, "invalid_type", "bytes"),
    "negative": ({"bytes": -1}, 400, "integer_below_min_value", "bytes"),
    "text-bytes": ({"bytes": "6"}, 400, "invalid_type", "bytes"),
    "fraction": ({"bytes": 6.5}, 400, "invalid_type", "bytes"),
    "too-large": ({"bytes": MAX_FILE_BYTES + 1}, 413, "request_too_large", "bytes"),
    "immense": ({"bytes": 2**63}, 413, "request_too_large", "bytes"),
    "beyond-any-integer": ({"bytes": 10**30}, 400, "invalid_type", "bytes"),
    "no-name": ({"filename": ""}, 400, "invalid_value", "filename"),
    "long-name": ({"filename": "x" * 256}, 400, "invalid_value", "filename"),
    "odd-name": ({"filename": "a\0b"}, 400, "invalid_value", "filename"),
    "purpose": ({"purpose": "fine-tune-results"}, 400, "invalid_value", "purpose"),
    "no-type": ({"mime_type": ""}, 400, "string_below_min_length", "mime_type"),
    "long-type": ({"mime_type": "x" * 256}, 400, "string_above_max_length", "mime_type"),
    "odd-type": ({"mime_type": "a\nb"}, 400, "invalid_value", "mime_type"),
    "unknown": ({"path": "/etc"}, 400, "unknown_parameter", "path"),
    "anchor": (
        {"expires_after": {"anchor": "now", "seconds": 3600}},
        400,
        "invalid_value",
        "expires_after.anchor",
    ),
    "seconds": (
        {"expires_after": {"anchor": "created_at", "seconds": 3599}},
        400,
        "integer_below_min_value",
        "expires_after.seconds",
    ),
}


@pytest.mark.parametrize(
    ("change", "status", "code", "param"), BAD_CREATES.values(), ids=BAD_CREATES
)
async def test_a_bad_create_is_refused(
    gateway: Gateway, change: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    answer, body = await post(gateway, "", json=CREATE | change)
    error = body["error"]
    assert (answer, error["code"], error["param"]) == (status, code, param), error


BAD_COMPLETES: dict[str, tuple[dict[str, Any], str, str]] = {
    "no-ids": ({}, "missing_required_parameter", "part_ids"),
    "one-id": ({"part_ids": "part"}, "invalid_type", "part_ids"),
    "numbers": ({"part_ids": [1]}, "invalid_type", "part_ids[0]"),
    "long-id": ({"part_ids": ["x" * 129]}, "string_above_max_length", "part_ids[0]"),
    "many": ({"part_ids": ["x"] * 10_001}, "array_above_max_length", "part_ids"),
    "unknown": ({"part_ids": ["\0"]}, "invalid_value", "part_ids"),
    "long-md5": ({"part_ids": [], "md5": "x" * 65}, "string_above_max_length", "md5"),
}


@pytest.mark.parametrize(("body", "code", "param"), BAD_COMPLETES.values(), ids=BAD_COMPLETES)
async def test_a_bad_completion_is_refused(
    gateway: Gateway, body: dict[str, Any], code: str, param: str
) -> None:
    status, answer = await post(gateway, f"/{await begin(gateway)}/complete", json=body)
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, code, param)


BAD_PARTS: dict[str, tuple[list[bytes], int, str]] = {
    "none": ([], 400, "missing_required_parameter"),
    "text": ([part("data", b"abc")], 400, "invalid_type"),
    "another": ([part("file", b"abc", "a")], 400, "unknown_parameter"),
    "two": ([part("data", b"abc", "a")] * 2, 400, "invalid_value"),
    "too-large": ([part("data", b"abcdefg", "a")], 413, "request_too_large"),
    "beyond-any-limit": (
        [part("data", bytes(MAX_FILE_BYTES + 2**17), "a")],
        413,
        "request_too_large",
    ),
}


@pytest.mark.parametrize(("parts", "status", "code"), BAD_PARTS.values(), ids=BAD_PARTS)
async def test_a_bad_part_is_refused_and_leaves_nothing(
    gateway: Gateway, parts: list[bytes], status: int, code: str
) -> None:
    answer, body = await post(
        gateway,
        f"/{await begin(gateway)}/parts",
        content=b"".join([*parts, END]),
        headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}"},
    )
    assert (answer, body["error"]["code"]) == (status, code)
    assert on_disk(gateway) == []


async def test_too_many_uploads_are_refused_for_good(gateway: Gateway) -> None:
    """The stock client does not try again."""
    for _ in range(4):
        await begin(gateway)
    proxy = ForgetfulProxy(gateway, losing=0)
    async with through(proxy, gateway) as client:
        with pytest.raises(RateLimitError) as raised:
            await client.uploads.create(**CREATE)  # type: ignore[arg-type]
    assert raised.value.code == "insufficient_quota"
    assert len(proxy.posts) == 1


async def test_too_many_files_are_refused_for_good(gateway: Gateway) -> None:
    proxy = ForgetfulProxy(gateway, losing=0)
    async with through(proxy, gateway) as client:
        for _ in range(3):
            await client.files.create(file=("a", b"x"), purpose="user_data")
        await begin(gateway)
        for content in (b"x", b""):
            with pytest.raises(RateLimitError) as raised:
                await client.files.create(file=("a", content), purpose="user_data")
            assert raised.value.code == "insufficient_quota"
    assert len(proxy.posts) == 3 + 2
    assert len(on_disk(gateway)) == 3


async def test_one_byte_too_many_is_refused(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        for size in (MAX_FILE_BYTES, MAX_TOTAL_BYTES - MAX_FILE_BYTES):
            await client.files.create(file=("a", bytes(size)), purpose="user_data")
        with pytest.raises(RateLimitError):
            await client.files.create(file=("a", b"x"), purpose="user_data")
        await client.files.create(file=("a", b""), purpose="user_data")
    assert len(on_disk(gateway)) == 3


@pytest.mark.parametrize(
    "upload_id", ["upload_" + "0" * 32, "..", "%2e%2e%2fx", "%00", "x" * 10_000]
)
@pytest.mark.parametrize("action", ["parts", "complete", "cancel"])
async def test_an_upload_that_is_not_there(gateway: Gateway, upload_id: str, action: str) -> None:
    request: dict[str, Any] = {"json": {"part_ids": []}}
    if action == "parts":
        request = {"files": {"data": ("a", b"abc")}}
    status, body = await post(gateway, f"/{upload_id}/{action}", **request)
    assert (status, body["error"]["code"]) == (404, "not_found")


async def test_another_tenants_upload_is_an_absent_one(gateway: Gateway) -> None:
    upload_id, absent = await begin(gateway), "upload_" + "0" * 32
    async with gateway.http(gateway.rival_key) as http:
        for action, request in (
            ("parts", {"files": {"data": ("a", b"abc")}}),
            ("complete", {"json": {"part_ids": []}}),
            ("cancel", {}),
        ):
            theirs = await http.post(f"/v1/uploads/{upload_id}/{action}", **request)
            none = await http.post(f"/v1/uploads/{absent}/{action}", **request)
            assert theirs.status_code == none.status_code == 404
            assert theirs.text == none.text.replace(absent, upload_id)


async def test_uploads_want_the_scope_of_files(gateway: Gateway) -> None:
    async with gateway.http(gateway.new_key("inference")) as http:
        answer = await http.post("/v1/uploads", json=CREATE)
    assert answer.status_code == 403


async def test_the_gateway_sweeps_when_it_starts(gateway: Gateway) -> None:
    folder = gateway.settings.home / "uploads" / await begin(gateway)
    folder.mkdir(parents=True)
    with gateway.database.writing() as connection:
        connection.execute(update(uploads).values(expires_at=time.time() - 1))
    async with gateway.running():
        for _ in range(500):
            if not folder.exists():
                break
            await asyncio.sleep(0.01)
    assert not folder.exists()
    status, body = await post(gateway, f"/{folder.name}/cancel")
    assert (status, body["error"]["code"]) == (400, "upload_ended")
