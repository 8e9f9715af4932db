"""A disk without room, under the whole gateway: refused and said, and fine again afterwards."""

import os
from pathlib import Path

import pytest

from tunery_server.config import Settings

from .composed import Gateway
from .test_files import stored


@pytest.fixture
def settings(settings: Settings, small_disk: Path) -> Settings:
    return settings.model_copy(update={"home": small_disk / "home"})


@pytest.mark.promise("P11", fault="uploads onto a file system of 1 MiB")
async def test_a_full_disk_refuses_and_recovers(gateway: Gateway) -> None:
    kept, refused = [], []
    async with gateway.http() as http:
        filler = gateway.settings.home / "filler"
        filler.write_bytes(bytes(2**18))
        for _ in range(40):
            answer = await http.post(
                "/v1/files", data={"purpose": "evals"}, files={"file": ("a", os.urandom(40_000))}
            )
            (kept if answer.status_code == 200 else refused).append(answer)
        assert kept
        for answer in refused:
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "storage_full"
            assert answer.headers["retry-after"] == "60"
        assert refused
        listed = (await http.get("/v1/files")).json()["data"]
        assert {file["id"] for file in listed} == {answer.json()["id"] for answer in kept}
        assert {path.name for path in stored(gateway)} == {file["id"] for file in listed}
        filler.unlink()
        answer = await http.post(
            "/v1/files", data={"purpose": "evals"}, files={"file": ("a", os.urandom(40_000))}
        )
        assert answer.status_code == 200
