"""Hostile adapters: each is refused by name, the engine never hears of one, and nothing stays."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from safetensors.numpy import load, save

from tests.archives import CONFIG, WEIGHTS, a_tar, a_zip, safetensors, with_config
from tests.engines import ScriptedEngine
from tunery_server.config import Settings

from .composed import Gateway, composed
from .importing import adapters_on_disk, brought_in, good_files, imported, with_base_model

MODULE = "base_model.model.model.layers.0.self_attn.q_proj"
A, B = f"{MODULE}.lora_A.weight", f"{MODULE}.lora_B.weight"


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, valkey: str, migrated: Path
) -> Iterator[Gateway]:
    """One for all, since nothing that is refused stays."""
    home = tmp_path_factory.mktemp("hostile") / "home"
    settings = Settings(home=home, redis_url=valkey, served_model_name="base")
    gateway = composed(with_base_model(settings), ScriptedEngine(), migrated)
    yield gateway
    gateway.database.close()


@pytest.fixture
async def http(gateway: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    async with gateway.http() as http:
        yield http


@pytest.fixture
def files(gateway: Gateway) -> dict[str, bytes]:
    return good_files(gateway)


async def refused(
    gateway: Gateway, http: httpx2.AsyncClient, packed: bytes, status: int = 400, **body: Any
) -> dict[str, Any]:
    """The error; nothing of it stays."""
    answer = await imported(http, packed, **body)
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert str(gateway.settings.home) not in answer.text
    assert gateway.engine.loads == []
    assert adapters_on_disk(gateway) == set()
    assert (await http.get("/v1/adapters")).json()["data"] == []
    return error


@pytest.mark.parametrize("pack", [a_zip, lambda files: a_tar(files, compression="gz")])
async def test_a_bomb(gateway: Gateway, http: httpx2.AsyncClient, pack: Any) -> None:
    packed = pack({CONFIG: b"{}", WEIGHTS: bytes(200 << 20)})
    error = await refused(gateway, http, packed, status=413)
    assert error["code"] == "request_too_large"


async def test_an_archive_in_an_archive(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes]
) -> None:
    error = await refused(gateway, http, a_zip({"adapter.zip": a_zip(files)}))
    assert error["code"] == "unsupported_format"


@pytest.mark.parametrize(
    "name",
    ["adapter_model.bin", "adapter_model.pt", "x.pkl", "tokenizer.json", "chat_template.jinja"],
)
async def test_a_file_that_does_not_belong(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes], name: str
) -> None:
    error = await refused(gateway, http, a_tar({**files, name: b"x"}))
    assert (error["code"], error["param"]) == ("unsupported_format", "file")
    assert name in error["message"]


@pytest.mark.parametrize("packed", [b"\x80\x04K\x01.", b"PK\x03\x04" * 9, b"\x1f\x8b" * 9])
async def test_what_is_no_archive(
    gateway: Gateway, http: httpx2.AsyncClient, packed: bytes
) -> None:
    error = await refused(gateway, http, packed)
    assert error["code"] in {"unsupported_format", "invalid_adapter"}


async def test_a_pickle_by_the_name_of_weights(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes]
) -> None:
    error = await refused(gateway, http, a_tar({**files, WEIGHTS: b"\x80\x04" + bytes(99)}))
    assert (error["code"], error["param"]) == ("invalid_adapter", WEIGHTS)


def entry(begin: int, end: int, **changes: Any) -> dict[str, Any]:
    shape = [4, (end - begin) // 16]
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end], **changes}


@pytest.mark.parametrize(
    "weights",
    [
        pytest.param((1 << 63).to_bytes(8, "little") + b"{}", id="length 2^63"),
        pytest.param((101 << 20).to_bytes(8, "little") + b"{}", id="length 101 MB"),
        pytest.param(safetensors(b"not JSON"), id="not JSON"),
        pytest.param(safetensors({A: entry(0, 128)}, bytes(64)), id="past the end"),
        pytest.param(safetensors({A: entry(0, 128), B: entry(64, 192)}, bytes(192)), id="overlap"),
        pytest.param(safetensors({A: entry(0, 128), B: entry(192, 320)}, bytes(320)), id="hole"),
        pytest.param(safetensors({A: entry(0, 128)}, bytes(129)), id="trailing bytes"),
        pytest.param(safetensors({A: entry(0, 128, shape=[2**62, 8])}, bytes(128)), id="overflow"),
        pytest.param(safetensors({A: entry(0, 128, dtype="EVIL")}, bytes(128)), id="EVIL"),
        pytest.param(safetensors({A: entry(0, 128)}, bytes(128)), id="half a pair"),
    ],
)
async def test_weights_that_do_not_add_up(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes], weights: bytes
) -> None:
    error = await refused(gateway, http, a_tar({**files, WEIGHTS: weights}))
    assert error["code"] == "invalid_adapter"


async def test_a_hundred_thousand_tensors(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes]
) -> None:
    """Their header alone is longer than any that fits the base, and is never parsed."""
    header = {f"t{number}": entry(4 * number, 4 * number + 4) for number in range(100_000)}
    error = await refused(gateway, http, a_tar({**files, WEIGHTS: safetensors(header)}))
    assert (error["code"], error["param"]) == ("invalid_adapter", WEIGHTS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
async def test_one_value_that_is_not_finite(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes], value: float
) -> None:
    tensors = {name: tensor.copy() for name, tensor in load(files[WEIGHTS]).items()}
    tensors[B][1, 1] = value
    error = await refused(gateway, http, a_tar({**files, WEIGHTS: save(tensors)}))
    assert (error["code"], error["param"]) == ("invalid_adapter", B)


@pytest.mark.parametrize(
    "name", ["../../x", "lm_head.weight", f"{MODULE}.weight", f"{MODULE}.base_layer.weight"]
)
async def test_a_tensor_that_is_no_lora(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes], name: str
) -> None:
    tensors = {**load(files[WEIGHTS]), name: np.zeros((4, 4), np.float32)}
    error = await refused(gateway, http, a_tar({**files, WEIGHTS: save(tensors)}))
    assert (error["code"], error["param"]) == ("invalid_adapter", name)


@pytest.mark.parametrize(
    "named",
    ["other/model", "https://example.com/base", "/etc", "~/base", "../base", "/srv/base", 5, ""],
)
async def test_another_base_model(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes], named: object
) -> None:
    packed = a_tar(with_config(files, base_model_name_or_path=named))
    error = await refused(gateway, http, packed)
    assert (error["code"], error["param"]) == ("invalid_value", "base_model_name_or_path")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("auto_mapping", {"parent_library": "antigravity"}),
        ("megatron_core", "os"),
        ("megatron_config", {"a": 1}),
        ("corda_config", {"cache_file": "/etc/passwd"}),
        ("lora_ga_config", {"cache_file": "/etc/passwd"}),
        ("loftq_config", {"a": 1}),
        ("use_dora", True),
        ("lora_bias", True),
        ("bias", "all"),
        ("modules_to_save", ["lm_head"]),
        ("layer_replication", [[0, 4], [2, 5]]),
        ("init_lora_weights", "pissa"),
        ("rank_pattern", {"(a+)+b": 4}),
        ("alpha_pattern", {"(a+)+b": 4}),
        ("peft_type", "IA3"),
    ],
)
async def test_what_the_engine_cannot_serve(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes], key: str, value: object
) -> None:
    error = await refused(gateway, http, a_tar(with_config(files, **{key: value})))
    assert (error["code"], error["param"]) == ("unsupported_value", key)


@pytest.mark.parametrize("targets", ["all-linear", "(a+)+b", ["(a+)+b"], []])
async def test_target_modules_that_are_a_pattern(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes], targets: object
) -> None:
    error = await refused(gateway, http, a_tar(with_config(files, target_modules=targets)))
    assert (error["code"], error["param"]) == ("invalid_adapter", "target_modules")


@pytest.mark.parametrize(
    ("name", "shape"), [(A, (4, 16)), (B, (16, 4)), (A, (3, 8)), (B, (8, 3)), (A, (4, 49_152))]
)
async def test_a_shape_that_fits_no_layer(
    gateway: Gateway,
    http: httpx2.AsyncClient,
    files: dict[str, bytes],
    name: str,
    shape: tuple[int, int],
) -> None:
    tensors = {**load(files[WEIGHTS]), name: np.zeros(shape, np.float32)}
    error = await refused(gateway, http, a_tar({**files, WEIGHTS: save(tensors)}))
    assert (error["code"], error["param"]) == ("invalid_adapter", name)


@pytest.mark.parametrize("module", ["layers.1.self_attn.q_proj", "layers.0.mlp.q_proj"])
async def test_a_layer_that_the_base_does_not_have(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes], module: str
) -> None:
    tensors = {
        name.replace("layers.0.self_attn.q_proj", module): tensor
        for name, tensor in load(files[WEIGHTS]).items()
    }
    error = await refused(gateway, http, a_tar({**files, WEIGHTS: save(tensors)}))
    assert error["code"] == "invalid_adapter"
    assert module in error["message"]


@pytest.mark.parametrize("head", ["lm_head", "model.embed_tokens"])
async def test_embeddings_and_the_output_head(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes], head: str
) -> None:
    tensors = {
        f"base_model.model.{head}.lora_{side}.weight": np.zeros(shape, np.float32)
        for side, shape in (("A", (4, 8)), ("B", (4, 4)))
    }
    changed = with_config(files, target_modules=[head.rpartition(".")[2]])
    error = await refused(gateway, http, a_tar({**changed, WEIGHTS: save(tensors)}))
    assert error["code"] == "invalid_adapter"


@pytest.mark.parametrize("rank", [0, 17, 10**9, True, "4", 4.0])
async def test_a_rank_that_is_not_served(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes], rank: object
) -> None:
    error = await refused(gateway, http, a_tar(with_config(files, r=rank)))
    assert (error["code"], error["param"]) == ("invalid_adapter", "r")


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(b'{"x": "' + bytes(2 << 20).replace(b"\0", b"x") + b'"}', id="2 MB"),
        pytest.param(b'{"r": NaN}', id="NaN"),
        pytest.param(b'{"r": 4, "r": 8}', id="a key twice"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"\xff\xfe", id="no text"),
    ],
)
async def test_a_configuration_that_is_none(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes], config: bytes
) -> None:
    error = await refused(gateway, http, a_zip({**files, CONFIG: config}, method=0))
    assert (error["code"], error["param"]) == ("invalid_adapter", CONFIG)


async def test_an_upload_that_was_cut_off(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes]
) -> None:
    packed = a_tar({**files, WEIGHTS: os.urandom(1 << 20)})
    error = await refused(gateway, http, packed[: 1 << 19])
    assert (error["code"], error["param"]) == ("invalid_adapter", "file")


async def test_another_checksum(
    gateway: Gateway, http: httpx2.AsyncClient, files: dict[str, bytes]
) -> None:
    error = await refused(gateway, http, a_tar(files), sha256="ab" * 32)
    assert error["code"] == "checksum_mismatch"


async def test_a_good_one_is_taken_in_after_all_that(
    gateway: Gateway, http: httpx2.AsyncClient
) -> None:
    known = await brought_in(gateway, http)
    assert adapters_on_disk(gateway) == {known["id"]}
