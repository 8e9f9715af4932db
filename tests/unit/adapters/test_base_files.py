"""What is said of a base model is what its files say."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from tests.archives import safetensors, write_base_model
from tunery_adapters.base_files import BaseFiles, Size
from tunery_adapters.errors import BaseModelAbsentError

MODULE = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_base_model(tmp_path / "base", inputs=8, outputs=6)


def test_layers_are_those_of_the_weights(folder: Path) -> None:
    base = BaseFiles("base", str(folder))
    assert base.layers() == {MODULE: Size(inputs=8, outputs=6)}
    assert base.most_bytes(rank=4) == (8 + 6) * 4 * 4


def test_sharded_weights_are_one_model(folder: Path) -> None:
    entry = {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}
    shard = safetensors({"model.layers.1.mlp.up_proj.weight": entry}, bytes(12))
    (folder / "model-00002-of-00002.safetensors").write_bytes(shard)
    layers = BaseFiles("base", str(folder)).layers()
    assert layers["model.layers.1.mlp.up_proj"] == Size(inputs=3, outputs=2)
    assert MODULE in layers


def test_sizes_of_a_quantised_base_are_its_configurations(folder: Path) -> None:
    config = {
        "hidden_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "quantization_config": {"quant_method": "awq"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    layers = BaseFiles("base", str(folder)).layers()
    assert len(layers) == 14
    assert layers["model.layers.1.self_attn.k_proj"] == Size(inputs=64, outputs=32)
    assert layers["model.layers.0.mlp.down_proj"] == Size(inputs=96, outputs=64)


def test_of_the_bundled_model_both_say_the_same(base_model: Path, tmp_path: Path) -> None:
    """The real one's weights, and the same configuration as if they were quantised."""
    config = json.loads((base_model / "config.json").read_text())
    quantised = write_base_model(tmp_path / "quantised", **config, quantization_config={"a": 1})
    assert BaseFiles("b", str(base_model)).layers() == BaseFiles("b", str(quantised)).layers()


def test_its_hash_is_what_a_shell_says(folder: Path) -> None:
    command = ["/bin/sh", "-c", "sha256sum config.json *.safetensors"]
    listed = subprocess.run(command, cwd=folder, check=True, capture_output=True)
    base = BaseFiles("base", str(folder))
    assert base.sha256() == hashlib.sha256(listed.stdout).hexdigest()
    before = base.sha256()
    (folder / "config.json").write_text("{ }")
    assert base.sha256() != before


def test_a_hub_id_is_looked_up_where_the_hub_keeps_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = BaseFiles("owner/name", "owner/name")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with pytest.raises(BaseModelAbsentError):
        base.layers()
    cache = tmp_path / "hf" / "hub" / "models--owner--name"
    (cache / "refs").mkdir(parents=True)
    (cache / "snapshots").mkdir()
    (cache / "refs" / "main").write_text("abc")
    folder.rename(cache / "snapshots" / "abc")
    assert MODULE in base.layers()


@pytest.mark.parametrize(
    ("named", "is_it"),
    [
        ("smollm2-135m-instruct", True),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", True),
        ("somebody/smollm2-135m-instruct", True),
        ("smollm2-360m-instruct", False),
        ("/models/smollm2-135m-instruct", False),
        ("../smollm2-135m-instruct", False),
        ("~/smollm2-135m-instruct", False),
        ("https://hub/smollm2-135m-instruct", False),
        ("a/b/smollm2-135m-instruct", False),
        ("smollm2-135m-instruct\n", False),
        ("", False),
    ],
)
def test_names_that_can_mean_it(named: str, is_it: bool) -> None:
    base = BaseFiles("smollm2-135m-instruct", "/srv/models/smollm2-135m-instruct")
    assert base.is_called(named) is is_it
