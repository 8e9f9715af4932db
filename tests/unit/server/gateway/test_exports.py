"""An adapter can be taken along, the same bytes every time, and be brought back."""

import hashlib
import io
import json
import tarfile

import pytest
import yaml

from tunery_server.config import Settings
from tunery_server.gateway.auth import ADAPTERS, ALL_SCOPES

from .composed import Gateway
from .importing import brought_in, imported, with_base_model


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return with_base_model(settings)


def taken_out(packed: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]


async def test_an_export_is_a_hub_folder(gateway: Gateway) -> None:
    adapter = gateway.publish()
    async with gateway.http() as http:
        answer = await http.get(f"/v1/adapters/{adapter.model}/content")
    assert answer.headers["content-type"] == "application/x-tar"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert f'"{adapter.adapter_id}.tar"' in answer.headers["content-disposition"]
    files = taken_out(answer.content)
    assert list(files) == ["adapter_config.json", "adapter_model.safetensors", "README.md"]
    config = json.loads(files["adapter_config.json"])
    assert (config["base_model_name_or_path"], config["r"]) == ("base", 4)
    assert str(gateway.settings.home).encode() not in answer.content
    _, header, text = files["README.md"].decode().split("---\n", 2)
    assert yaml.safe_load(header)["library_name"] == "peft"
    assert hashlib.sha256(files["adapter_model.safetensors"]).hexdigest() in text


async def test_the_same_bytes_come_every_time_whatever_range_is_asked_for(
    gateway: Gateway,
) -> None:
    adapter = gateway.publish()
    async with gateway.http() as http:
        first, second = [
            (await http.get(f"/v1/adapters/{adapter.model}/content", headers=headers))
            for headers in ({}, {"Range": "bytes=0-,0-,5-"})
        ]
    assert first.content == second.content
    assert second.status_code == 200


async def test_what_was_exported_can_be_imported(gateway: Gateway) -> None:
    async with gateway.http() as http:
        first = await brought_in(gateway, http)
        packed = (await http.get(f"/v1/adapters/{first['model']}/content")).content
        second = (await imported(http, packed)).json()
        again = (await http.get(f"/v1/adapters/{second['model']}/content")).content
    assert second["id"] != first["id"]
    for same in ("sha256", "rank", "alpha", "target_modules", "bytes"):
        assert second[same] == first[same]
    weights = "adapter_model.safetensors"
    assert taken_out(again)[weights] == taken_out(packed)[weights]


async def test_only_its_owner_takes_it_along(gateway: Gateway) -> None:
    """Whoever has a permission may use it, and no more."""
    adapter = gateway.publish()
    path = f"/v1/fine_tuning/checkpoints/{adapter.model}/permissions"
    async with gateway.http() as http, gateway.http(gateway.rival_key) as rival:
        await http.post(path, json={"project_ids": ["rival"]})
        body = {"model": adapter.model, "prompt": "hi"}
        assert (await rival.post("/v1/completions", json=body)).status_code == 200
        answer = await rival.get(f"/v1/adapters/{adapter.model}/content")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    others = [scope for scope in ALL_SCOPES if scope != ADAPTERS]
    async with gateway.http(gateway.new_key(*others)) as http:
        assert (await http.get(f"/v1/adapters/{adapter.model}/content")).status_code == 403


async def test_a_deletion_does_not_cut_an_export_short(gateway: Gateway) -> None:
    adapter = gateway.publish()
    services = gateway.app.state.services
    archive = services.exports.content(adapter)
    services.exports._store.delete(adapter.adapter_id, adapter.version)
    assert len(b"".join(archive.chunks())) == archive.size
    async with gateway.http() as http:
        assert (await http.get(f"/v1/adapters/{adapter.model}/content")).status_code == 404
