"""Adapters from elsewhere: from an uploaded file to a name that answers, or to nothing at all."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.archives import WEIGHTS, a_tar, a_zip, with_config
from tests.engines import Fault
from tests.peft import write_peft_folder
from tunery_server.config import Settings
from tunery_server.errors import EngineRefused
from tunery_server.gateway.auth import ADAPTERS, FILES

from .composed import Gateway
from .importing import (
    adapters_on_disk,
    brought_in,
    good_files,
    imported,
    uploaded,
    with_base_model,
)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return with_base_model(settings)


@pytest.mark.parametrize(
    "pack", [a_tar, a_zip, lambda files: a_tar(files, compression="gz")], ids=["tar", "zip", "gz"]
)
async def test_an_imported_adapter_answers_at_once(
    gateway: Gateway, pack: Callable[[Mapping[str, bytes]], bytes]
) -> None:
    packed = pack(good_files(gateway))
    async with gateway.http() as http:
        answer = await imported(http, packed, suffix="mine")
        assert answer.status_code == 200, answer.text
        known = answer.json()
        assert known["model"].startswith("ft:base:tunery:mine:")
        assert (known["residency"], known["status"], known["rank"]) == ("loaded", "ready", 4)
        assert known["sha256"] == hashlib.sha256(good_files(gateway)[WEIGHTS]).hexdigest()
        assert (await http.get(f"/v1/adapters/{known['model']}")).json() == known
        listed = (await http.get("/v1/models")).json()["data"]
        assert known["model"] in {model["id"] for model in listed}
        body = {"model": known["model"], "prompt": "hi"}
        assert (await http.post("/v1/completions", json=body)).status_code == 200
    [(name, folder)] = gateway.engine.loads
    assert name == known["model"]
    assert {path.name for path in folder.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "manifest.json",
    }
    assert adapters_on_disk(gateway) == {known["id"]}


async def test_it_says_whence_it_came(gateway: Gateway) -> None:
    async with gateway.http() as http:
        known = await brought_in(gateway, http)
    packed = a_tar(good_files(gateway))
    provenance = known["provenance"]
    assert provenance["imported"]["sha256"] == hashlib.sha256(packed).hexdigest()
    assert provenance["imported"]["filename"] == "adapter.tar"
    assert len(provenance["base_sha256"]) == 64
    assert known["job_id"] is None


async def test_nothing_of_its_configuration_gets_through(gateway: Gateway) -> None:
    files = with_config(
        good_files(gateway),
        base_model_name_or_path="somebody/Base",
        revision="../../etc",
        megatron_core="megatron.core",
        lora_dropout=0.1,
    )
    async with gateway.http() as http:
        assert (await imported(http, a_tar(files))).status_code == 200
    text = (gateway.engine.loads[0][1] / "adapter_config.json").read_text()
    assert "etc" not in text
    assert "somebody" not in text
    assert "megatron" not in text


async def test_without_an_engine_its_first_request_loads_it(gateway: Gateway) -> None:
    gateway.engine.fault = Fault.AWAY
    async with gateway.http() as http:
        known = await brought_in(gateway, http)
        assert known["residency"] == "unloaded"
        gateway.engine.fault = Fault.NONE
        await gateway.see_engine()
        body = {"model": known["model"], "prompt": "hi"}
        assert (await http.post("/v1/completions", json=body)).status_code == 200
    assert known["model"] in gateway.engine.adapters


async def test_what_the_engine_refuses_is_never_listed(gateway: Gateway) -> None:
    gateway.engine.load_error = EngineRefused("no", status=400)
    async with gateway.http() as http:
        answer = await imported(http, a_tar(good_files(gateway)))
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "adapter_refused")
        assert (await http.get("/v1/adapters")).json()["data"] == []
    assert adapters_on_disk(gateway) == set()


async def test_a_repeat_is_the_same_adapter(gateway: Gateway) -> None:
    async with gateway.http() as http:
        file = await uploaded(http, a_tar(good_files(gateway)))
        headers = {"Idempotency-Key": "once"}
        sendings = [
            http.post("/v1/adapters", json={"file": file}, headers=headers) for _ in range(2)
        ]
        first, second = await asyncio.gather(*sendings)
        third = await http.post("/v1/adapters", json={"file": file}, headers=headers)
        assert first.json()["id"] == second.json()["id"] == third.json()["id"]
        assert adapters_on_disk(gateway) == {first.json()["id"]}
        await http.delete(f"/v1/adapters/{first.json()['model']}")
        again = await http.post("/v1/adapters", json={"file": file}, headers=headers)
        assert again.json()["id"] != first.json()["id"]


async def test_more_at_once_than_there_are_places_are_refused(gateway: Gateway) -> None:
    gateway.engine.fault = Fault.SLOW
    packed = a_tar(good_files(gateway))
    async with gateway.http() as http:
        file = await uploaded(http, packed)
        running = []
        for _ in range(2):
            gateway.engine.begun.clear()
            post = http.post("/v1/adapters", json={"file": file})
            running.append(asyncio.create_task(post))
            await gateway.engine.begun.wait()
        refused = await http.post("/v1/adapters", json={"file": file})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        gateway.engine.go.set()
        assert {answer.status_code for answer in await asyncio.gather(*running)} == {200}


async def test_another_tenants_file_is_an_absent_one(gateway: Gateway) -> None:
    async with gateway.http() as owner, gateway.http(gateway.rival_key) as rival:
        file = await uploaded(owner, a_tar(good_files(gateway)))
        theirs = await rival.post("/v1/adapters", json={"file": file})
        none = await rival.post("/v1/adapters", json={"file": "file-" + "0" * 32})
        assert theirs.status_code == none.status_code == 404
        assert theirs.text.replace(file, "") == none.text.replace("file-" + "0" * 32, "")


async def test_both_scopes_are_wanted(gateway: Gateway) -> None:
    async with gateway.http() as http:
        file = await uploaded(http, a_tar(good_files(gateway)))
    for scope in (FILES, ADAPTERS):
        async with gateway.http(gateway.new_key(scope)) as http:
            answer = await http.post("/v1/adapters", json={"file": file})
            assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"suffix": "base/"}, "invalid_value", "suffix"),
        ({"suffix": ".."}, "invalid_value", "suffix"),
        ({"suffix": "x" * 65}, "string_above_max_length", "suffix"),
        ({"suffix": "\u202egnp"}, "invalid_value", "suffix"),
        ({"suffix": "a\u200bb"}, "invalid_value", "suffix"),
        ({"suffix": "\U0001f40d"}, "invalid_value", "suffix"),
        ({"sha256": "0" * 64}, "checksum_mismatch", "sha256"),
        ({"sha256": "0"}, "invalid_value", "sha256"),
        ({"name": "base"}, "unknown_parameter", "name"),
        ({"path": "/etc"}, "unknown_parameter", "path"),
        ({"file": None}, "invalid_type", "file"),
    ],
)
async def test_a_wrong_field_is_named(
    gateway: Gateway, body: dict[str, Any], code: str, param: str
) -> None:
    async with gateway.http() as http:
        answer = await imported(http, a_tar(good_files(gateway)), **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)


async def test_a_file_of_another_purpose_is_refused(gateway: Gateway) -> None:
    async with gateway.http() as http:
        file = await uploaded(http, a_tar(good_files(gateway)), purpose="batch")
        answer = await http.post("/v1/adapters", json={"file": file})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_file")


class TestQuota:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_adapters_per_tenant": 1})

    async def test_a_tenant_keeps_so_many(self, gateway: Gateway) -> None:
        async with gateway.http() as http:
            await brought_in(gateway, http)
            answer = await imported(http, a_tar(good_files(gateway)))
            assert answer.json()["error"]["message"].startswith("You may keep 1 adapters")
            assert (answer.status_code, answer.json()["error"]["code"]) == (
                429,
                "insufficient_quota",
            )
            assert answer.headers["x-should-retry"] == "false"
        assert len(adapters_on_disk(gateway)) == 1
        async with gateway.http(gateway.rival_key) as http:
            await brought_in(gateway, http)

    async def test_one_tenant_may_keep_more(self, gateway: Gateway) -> None:
        gateway.publish()
        async with gateway.http() as http:
            refused = await imported(http, a_tar(good_files(gateway)))
            project = "/v1/organization/projects/acme"
            assert (await http.post(project, json={"max_adapters": 2})).status_code == 200
            await brought_in(gateway, http)
            assert (await http.post(project, json={"max_adapter_bytes": 1})).status_code == 200
            heavy = await imported(http, a_tar(good_files(gateway)))
        assert [refused.status_code, heavy.status_code] == [429, 429]


class TestWithoutABaseModel:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"model": "nobody/nothing"})

    async def test_it_is_asked_to_come_again(self, gateway: Gateway) -> None:
        async with gateway.http() as http:
            answer = await imported(http, a_tar(good_files(gateway)))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_starting")
        assert adapters_on_disk(gateway) == set()


async def test_an_adapter_of_another_size_of_base_is_refused(gateway: Gateway) -> None:
    files = good_files(gateway)
    other = write_peft_folder(gateway.settings.home / "other", hidden=16)
    files[WEIGHTS] = (other / WEIGHTS).read_bytes()
    async with gateway.http() as http:
        answer = await imported(http, a_tar(files))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_adapter")
    assert "8 in, 8 out" in error["message"]
    assert gateway.engine.loads == []


async def test_streams_of_a_deleted_adapter_end_as_if_nothing_had_happened(
    gateway: Gateway,
) -> None:
    async with gateway.http() as http:
        known = await brought_in(gateway, http)
        model = known["model"]
        body = {"model": model, "prompt": "hi", "stream": True}
        gateway.engine.fault = Fault.STALLS
        gateway.engine.begun.clear()
        streams = [asyncio.create_task(http.post("/v1/completions", json=body)) for _ in range(10)]
        await gateway.engine.begun.wait()
        assert (await http.delete(f"/v1/adapters/{model}")).status_code == 200
        assert (await http.post("/v1/completions", json=body)).status_code == 404
        assert model in gateway.engine.adapters
        gateway.engine.go.set()
        for answer in await asyncio.gather(*streams):
            assert answer.text.endswith("data: [DONE]\n\n")
        await asyncio.gather(*gateway.app.state.services.residency._unloads)
    assert model not in gateway.engine.adapters
    assert adapters_on_disk(gateway) == {known["id"]}


class TestOnAFullDisk:
    @pytest.fixture
    def settings(self, settings: Settings, small_disk: Path) -> Settings:
        return settings.model_copy(update={"home": small_disk / "home"})

    async def test_it_is_refused_and_said_and_fine_afterwards(self, gateway: Gateway) -> None:
        packed = a_tar(good_files(gateway))
        async with gateway.http() as http:
            file = await uploaded(http, packed)
            filler = gateway.settings.home / "filler"
            with contextlib.suppress(OSError), filler.open("wb") as writing:
                while True:
                    writing.write(bytes(512))
                    writing.flush()
            answer = await http.post("/v1/adapters", json={"file": file})
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_full")
            assert adapters_on_disk(gateway) == set()
            filler.unlink()
            assert (await http.post("/v1/adapters", json={"file": file})).status_code == 200
