"""A gateway with a base model on its disk, and adapters that fit it."""

from typing import Any

import httpx2

from tests.archives import a_tar, members, write_base_model
from tunery_server.config import Settings

from .composed import Gateway


def with_base_model(settings: Settings, **sizes: int) -> Settings:
    """Its one layer takes 8 values and gives 8."""
    folder = write_base_model(settings.home.with_name("base"), **sizes)
    return settings.model_copy(update={"model": str(folder)})


def good_files(gateway: Gateway) -> dict[str, bytes]:
    return members(gateway.settings.home / "peft")


async def uploaded(http: httpx2.AsyncClient, packed: bytes, purpose: str = "user_data") -> str:
    answer = await http.post(
        "/v1/files", data={"purpose": purpose}, files={"file": ("adapter.tar", packed)}
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def imported(http: httpx2.AsyncClient, packed: bytes, **body: Any) -> httpx2.Response:
    """Upload and import."""
    return await http.post("/v1/adapters", json={"file": await uploaded(http, packed), **body})


async def brought_in(gateway: Gateway, http: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    """What is known of a good adapter that was just imported."""
    answer = await imported(http, a_tar(good_files(gateway)), **body)
    assert answer.status_code == 200, answer.text
    known: dict[str, Any] = answer.json()
    return known


def adapters_on_disk(gateway: Gateway) -> set[str]:
    """Names under the store, leftovers of any kind among them."""
    folder = gateway.settings.home / "adapters"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()
