"""Uploads, good and bad, through the whole gateway."""

from pathlib import Path
from typing import Any

import pytest
from openai import NotFoundError

from tunery_server.config import Settings
from tunery_server.gateway.protocol.files import UPLOAD_PURPOSES

from .composed import Gateway

ROW = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
BOUNDARY = "frontier"
MAX_FILE_BYTES = 4 * 2**20


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_file_bytes": MAX_FILE_BYTES})


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + value + b"\r\n"


PURPOSE = part("purpose", b"fine-tune")
FILE = part("file", 12 * ROW, "a.jsonl")
END = f"--{BOUNDARY}--\r\n".encode()


async def upload(
    gateway: Gateway, *parts: bytes, options: str = f"; boundary={BOUNDARY}"
) -> tuple[int, dict[str, Any]]:
    async with gateway.http() as http:
        answer = await http.post(
            "/v1/files",
            content=b"".join([*parts, END]),
            headers={"content-type": f"multipart/form-data{options}"},
        )
    body: dict[str, Any] = answer.json()
    return answer.status_code, body


def stored(gateway: Gateway) -> list[Path]:
    folder = gateway.settings.home / "files"
    return list(folder.iterdir()) if folder.exists() else []


async def test_the_stock_client_keeps_files(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        file = await client.files.create(
            file=("a.jsonl", 12 * ROW),
            purpose="fine-tune",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
        assert file.expires_at == file.created_at + 3600
        assert await client.files.retrieve(file.id) == file
        assert [f.id async for f in client.files.list()] == [file.id]
        assert [f.id async for f in client.files.list(purpose="batch")] == []
        assert (await client.files.content(file.id)).content == 12 * ROW
        assert (await client.files.delete(file.id)).deleted
        with pytest.raises(NotFoundError):
            await client.files.retrieve(file.id)
    assert stored(gateway) == []


async def test_the_stock_client_goes_through_pages(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        for _ in range(5):
            await client.files.create(file=("a", b"x"), purpose="user_data")
        upwards = [file.id async for file in client.files.list(limit=2, order="asc")]
        downwards = [file.id async for file in client.files.list(limit=2)]
    assert len(set(upwards)) == 5
    assert upwards == downwards[::-1]


@pytest.mark.parametrize("purpose", UPLOAD_PURPOSES)
async def test_every_purpose_is_kept(gateway: Gateway, purpose: Any) -> None:
    """The stock client sends ``evals``, but its strict mode does not know it in an answer."""
    async with gateway.openai() as client:
        client._strict_response_validation = purpose != "evals"
        file = await client.files.create(file=("a.jsonl", 12 * ROW), purpose=purpose)
        other = "user_data" if purpose != "user_data" else "vision"
        await client.files.create(file=("b", b"x"), purpose=other)  # type: ignore[arg-type]
        assert file.purpose == purpose
        assert [f.id async for f in client.files.list(purpose=purpose)] == [file.id]


async def test_a_file_is_deleted_once(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        file = await client.files.create(file=("a", b"x"), purpose="user_data")
        await client.files.delete(file.id)
        for call in (client.files.delete, client.files.retrieve, client.files.content):
            with pytest.raises(NotFoundError):
                await call(file.id)


async def test_content_has_its_length(gateway: Gateway) -> None:
    content = bytes(range(256)) * 3000
    async with gateway.openai() as client:
        file = await client.files.create(file=("a", content), purpose="user_data")
        answer = await client.files.with_raw_response.content(file.id)
        assert int(answer.headers["content-length"]) == file.bytes == len(content)
        assert answer.content == content


async def test_a_form_by_hand_is_accepted(gateway: Gateway) -> None:
    status, file = await upload(gateway, PURPOSE, FILE)
    assert (status, file["purpose"], file["filename"]) == (200, "fine-tune", "a.jsonl")
    assert file["bytes"] == len(12 * ROW)


BAD: dict[str, tuple[list[bytes], str | None, str | None]] = {
    "no-purpose": ([FILE], "missing_required_parameter", "purpose"),
    "no-file": ([PURPOSE], "missing_required_parameter", "file"),
    "file-is-text": ([PURPOSE, part("file", b"x")], "invalid_type", "file"),
    "purpose": ([part("purpose", b"fun"), FILE], "invalid_value", "purpose"),
    "purpose-results": ([part("purpose", b"fine-tune-results"), FILE], "invalid_value", "purpose"),
    "purpose-is-a-file": ([part("purpose", b"fine-tune", "p")], "invalid_type", "purpose"),
    "unknown-field": ([PURPOSE, part("model", b"x"), FILE], "unknown_parameter", "model"),
    "no-name": ([PURPOSE, part("file", ROW, "")], "invalid_value", "file"),
    "long-name": ([PURPOSE, part("file", ROW, "x" * 256)], "invalid_value", "file"),
    "odd-name": ([PURPOSE, part("file", ROW, "a\tb\x07")], "invalid_value", "file"),
    "bad-line": ([PURPOSE, part("file", ROW + b"{}", "a")], "invalid_file", "file"),
    "two-files": ([PURPOSE, FILE, FILE], "invalid_value", None),
    "many-fields": ([PURPOSE] * 20, "invalid_value", None),
    "huge-field": ([part("purpose", b"x" * 2**21), FILE], "invalid_value", None),
    "no-parts": ([], "missing_required_parameter", None),
    "not-a-form": ([b"hello"], "invalid_value", None),
}


@pytest.mark.parametrize(("parts", "code", "param"), BAD.values(), ids=BAD)
async def test_a_bad_form_is_refused_and_leaves_nothing(
    gateway: Gateway, parts: list[bytes], code: str | None, param: str | None
) -> None:
    status, body = await upload(gateway, *parts)
    error = body["error"]
    assert (status, error["code"]) == (400, code), error
    if param is not None:
        assert error["param"] == param
    assert stored(gateway) == []


@pytest.mark.parametrize(
    ("anchor", "seconds"),
    [
        ("created_at", "3599"),
        ("created_at", "2592001"),
        ("created_at", "x"),
        ("created_at", "-3600"),
        ("created_at", "3.6e3"),
        ("created_at", "٣٦٠٠"),
        ("created_at", "000003600999"),
        ("created_at", "000003600" + "0" * 5000),
        ("created_at", None),
        ("last_active_at", "3600"),
        (None, "3600"),
    ],
)
async def test_a_bad_expiry_is_refused(
    gateway: Gateway, anchor: str | None, seconds: str | None
) -> None:
    fields = [("expires_after[anchor]", anchor), ("expires_after[seconds]", seconds)]
    parts = [part(name, value.encode()) for name, value in fields if value is not None]
    status, body = await upload(gateway, PURPOSE, *parts, FILE)
    assert (status, body["error"]["code"]) == (400, "invalid_value")
    assert body["error"]["param"].startswith("expires_after")


@pytest.mark.parametrize(
    "options",
    [f"; boundary={BOUNDARY}; charset={name}" for name in ("undefined", "raw_unicode_escape", "x")],
)
async def test_a_form_is_in_utf_8(gateway: Gateway, options: str) -> None:
    status, body = await upload(gateway, part("\\ud800", b"x"), FILE, options=options)
    assert (status, body["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("options", ["", "; boundary=", "; boundary=other", "; charset=utf-8"])
async def test_a_form_without_its_boundary_is_refused(gateway: Gateway, options: str) -> None:
    status, _ = await upload(gateway, PURPOSE, FILE, options=options)
    assert status == 400
    assert stored(gateway) == []


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded"])
async def test_another_media_type_is_refused(gateway: Gateway, media_type: str) -> None:
    async with gateway.http() as http:
        answer = await http.post("/v1/files", headers={"content-type": media_type})
    assert answer.status_code == 415


async def test_a_path_in_a_name_is_cut_off(gateway: Gateway) -> None:
    _, file = await upload(gateway, PURPOSE, part("file", 12 * ROW, "../../etc/a.jsonl"))
    assert file["filename"] == "a.jsonl"
    assert [path.name for path in stored(gateway)] == [file["id"]]


@pytest.mark.parametrize("over", [1, 2**20], ids=["file", "body"])
async def test_a_file_beyond_its_limit_is_refused(gateway: Gateway, over: int) -> None:
    content = b"x" * (MAX_FILE_BYTES + over)
    status, body = await upload(gateway, part("purpose", b"evals"), part("file", content, "a"))
    assert (status, body["error"]["code"]) == (413, "request_too_large")
    assert stored(gateway) == []


async def test_another_tenants_file_is_an_absent_one(gateway: Gateway) -> None:
    _, file = await upload(gateway, PURPOSE, FILE)
    absent = "file-" + "0" * 32
    async with gateway.http(gateway.rival_key) as http:
        for method, path in [("GET", "/{}"), ("GET", "/{}/content"), ("DELETE", "/{}")]:
            theirs = await http.request(method, "/v1/files" + path.format(file["id"]))
            none = await http.request(method, "/v1/files" + path.format(absent))
            assert theirs.status_code == none.status_code == 404
            assert theirs.text == none.text.replace(absent, file["id"])
        assert (await http.get("/v1/files")).json()["data"] == []
