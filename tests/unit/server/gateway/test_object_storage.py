"""Files in an object storage, under the whole gateway."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.object_storage import ObjectStorage, object_storage
from tunery_server.config import Settings
from tunery_server.files.sweeper import MARGIN_S

from .composed import Gateway


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStorage]:
    with object_storage(tmp_path / "storage", monkeypatch) as storage:
        yield storage


@pytest.fixture
def settings(settings: Settings, storage: ObjectStorage) -> Settings:
    return settings.model_copy(update={"storage": storage.url})


async def test_a_storage_that_is_away_is_told_and_comes_back(
    gateway: Gateway, storage: ObjectStorage
) -> None:
    upload = {"data": {"purpose": "evals"}, "files": {"file": ("a", b"hello")}}
    async with gateway.http() as http:
        file_id = (await http.post("/v1/files", **upload)).json()["id"]
        assert [path.name for path in (storage.objects / "files").iterdir()] == [file_id]
        storage.kill()
        for answer in (
            await http.post("/v1/files", **upload),
            await http.get(f"/v1/files/{file_id}/content"),
        ):
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "storage_unavailable"
            assert answer.headers["retry-after"] == "5"
        listed = (await http.get("/v1/files")).json()["data"]
        assert [file["id"] for file in listed] == [file_id]
        assert list(gateway.settings.home.glob("cache/.*")) == []
        storage.start()
        assert (await http.get(f"/v1/files/{file_id}/content")).content == b"hello"
        assert (await http.delete(f"/v1/files/{file_id}")).status_code == 200
        assert list(storage.objects.glob("files/*/*")) == []


async def test_what_is_deleted_while_the_storage_is_away_is_swept_later(
    gateway: Gateway, storage: ObjectStorage
) -> None:
    upload = {"data": {"purpose": "evals"}, "files": {"file": ("a", b"hello")}}
    async with gateway.http() as http:
        file_id = (await http.post("/v1/files", **upload)).json()["id"]
        storage.kill()
        assert (await http.delete(f"/v1/files/{file_id}")).status_code == 200
        assert (await http.get(f"/v1/files/{file_id}")).status_code == 404
        storage.start()
        [left] = storage.objects.glob("files/*/*")
        assert file_id in left.parts
        long_ago = left.stat().st_mtime - 2 * MARGIN_S
        os.utime(left, (long_ago, long_ago))
        gateway.app.state.services.files.sweep()
        assert not left.exists()
