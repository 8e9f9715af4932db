"""A base model's sizes, read without loading it."""

import json
from pathlib import Path

from tests.base_models import SIZES, write_sizes
from tunery_adapters.base_model import BaseModel, Linear, read_shape


def test_sizes_are_read_from_configuration_and_headers(tmp_path: Path) -> None:
    shape = read_shape(write_sizes(tmp_path))
    assert shape is not None
    assert (shape.layers, shape.hidden, shape.vocabulary) == (2, 64, 1000)
    assert (shape.queries, shape.keys, shape.intermediate) == (64, 32, 128)
    layer = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128
    assert shape.parameters == 1000 * 64 + 2 * (layer + 64)
    assert shape.file_bytes == 2 * shape.parameters
    assert Linear("k_proj", inputs=64, outputs=32) in shape.linears
    assert sum(linear.inputs * linear.outputs for linear in shape.linears) == 2 * layer


def test_embedding_and_norms_are_no_target(tmp_path: Path) -> None:
    shape = read_shape(write_sizes(tmp_path))
    assert shape is not None
    assert shape.linear_names == (
        *("down_proj", "gate_proj", "k_proj", "o_proj"),
        *("q_proj", "up_proj", "v_proj"),
    )


def test_the_text_part_of_a_model_of_several_parts_counts(tmp_path: Path) -> None:
    write_sizes(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"text_config": SIZES}))
    shape = read_shape(tmp_path)
    assert shape is not None
    assert shape.hidden == 64


def test_what_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    assert read_shape(tmp_path) is None
    write_sizes(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    assert read_shape(tmp_path) is None
    write_sizes(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 8)
    assert read_shape(tmp_path) is None


def test_files_may_come_later(tmp_path: Path) -> None:
    model = BaseModel(str(tmp_path / "model"))
    assert not model.is_here
    assert model.shape() is None
    write_sizes(tmp_path / "model")
    assert model.is_here
    assert model.shape() is not None
