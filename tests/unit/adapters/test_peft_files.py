"""A PEFT folder is taken only if the engine can serve exactly what it says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.adapters.folders import PREFIX, RANK, MakeFolder, weights
from tunery_adapters.errors import InvalidAdapterError
from tunery_adapters.peft_files import inspect


def refusal(folder: Path, max_rank: int = 64) -> InvalidAdapterError:
    with pytest.raises(InvalidAdapterError) as caught:
        inspect(folder, max_rank=max_rank)
    assert str(folder) not in caught.value.message
    return caught.value


def test_a_plain_lora_is_described(make_folder: MakeFolder) -> None:
    folder = make_folder()
    peft = inspect(folder, max_rank=64)
    assert (peft.rank, peft.alpha, peft.use_rslora) == (RANK, 16.0, False)
    assert peft.target_modules == ("q_proj", "v_proj")
    assert peft.tensor_count == 4


def test_half_precision_is_served_too(make_folder: MakeFolder) -> None:
    halves = {name: tensor.astype(np.float16) for name, tensor in weights().items()}
    assert inspect(make_folder(halves), max_rank=RANK).tensor_count == 4


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("peft_type", "IA3"),
        ("use_dora", True),
        ("lora_bias", True),
        ("bias", "all"),
        ("bias", "lora_only"),
        ("modules_to_save", ["lm_head"]),
        ("layer_replication", [[0, 4], [2, 5]]),
        ("alora_invocation_tokens", [1, 2]),
        ("rank_pattern", {"q_proj": 4}),
        ("alpha_pattern", {"q_proj": 4}),
        ("auto_mapping", {"parent_library": "antigravity"}),
        ("megatron_config", {"a": 1}),
        ("init_lora_weights", "pissa"),
        ("init_lora_weights", "pissa_niter_4"),
        ("init_lora_weights", "olora"),
        ("init_lora_weights", "loftq"),
        ("init_lora_weights", "corda"),
        ("init_lora_weights", ["gaussian"]),
        ("r", 0),
        ("r", 65),
        ("r", True),
        ("r", "8"),
        ("lora_alpha", 0),
        ("lora_alpha", "16"),
        ("lora_alpha", None),
        ("target_modules", "all-linear"),
        ("target_modules", []),
        ("target_modules", [".*"]),
        ("target_modules", [3]),
    ],
)
def test_what_the_engine_cannot_serve_is_refused_by_key(
    make_folder: MakeFolder, key: str, value: Any
) -> None:
    assert refusal(make_folder(**{key: value})).param == key


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "lm_head.weight",
        f"{PREFIX}.q_proj.weight",
        f"{PREFIX}.q_proj.lora_magnitude_vector",
        f"{PREFIX}.q_proj.lora_B.bias",
        "base_model.model.model.embed_tokens.lora_embedding_A",
        f"{PREFIX}.q_proj.lora_A.weight\n",
        f"{PREFIX}.k_proj.lora_A.weight",
    ],
)
def test_a_tensor_under_another_name_is_refused(make_folder: MakeFolder, name: str) -> None:
    extra = {name: np.zeros((RANK, RANK), np.float32)}
    assert refusal(make_folder({**weights(), **extra})).param == name


@pytest.mark.parametrize("shape", [(4, 32), (32, RANK), (RANK,), (1, RANK, 32)])
def test_a_shape_that_does_not_fit_the_rank_is_refused(
    make_folder: MakeFolder, shape: tuple[int, ...]
) -> None:
    name = f"{PREFIX}.q_proj.lora_A.weight"
    assert refusal(make_folder({**weights(), name: np.zeros(shape, np.float32)})).param == name


def test_half_a_pair_is_refused(make_folder: MakeFolder) -> None:
    tensors = weights()
    del tensors[f"{PREFIX}.v_proj.lora_B.weight"]
    assert "v_proj" in refusal(make_folder(tensors)).param


def test_a_nan_is_refused(make_folder: MakeFolder) -> None:
    tensors = weights()
    tensors[f"{PREFIX}.v_proj.lora_B.weight"][3, 2] = np.nan
    assert refusal(make_folder(tensors)).param == f"{PREFIX}.v_proj.lora_B.weight"


def test_a_truncated_weights_file_is_refused(make_folder: MakeFolder) -> None:
    file = make_folder() / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    refusal(file.parent)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_or_linked_file_is_refused(
    make_folder: MakeFolder, tmp_path: Path, name: str
) -> None:
    folder = make_folder()
    elsewhere = (folder / name).rename(tmp_path / "elsewhere")
    assert refusal(folder).param == name
    (folder / name).symlink_to(elsewhere)
    assert refusal(folder).param == name


@pytest.mark.parametrize("text", ["[]", "{", '{"r": NaN}', '{"r": 8, "r": 16}', "[" * 100_000])
def test_a_configuration_that_is_not_an_object_is_refused(
    make_folder: MakeFolder, text: str
) -> None:
    folder = make_folder()
    (folder / "adapter_config.json").write_text(text)
    assert refusal(folder).param == "adapter_config.json"


def test_a_configuration_of_two_megabytes_is_not_read(make_folder: MakeFolder) -> None:
    assert refusal(make_folder(revision="x" * (2 << 20))).param == "adapter_config.json"
