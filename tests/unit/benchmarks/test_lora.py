"""The benchmarks' random adapters fit the model they were made for."""

import json
from pathlib import Path

import numpy
from safetensors.numpy import load_file, save_file

from benchmarks.lora import RANK, write_adapter


def test_every_linear_layer_has_a_pair(tmp_path: Path) -> None:
    shapes = {
        "model.layers.0.self_attn.q_proj.weight": (8, 6),
        "model.layers.1.mlp.down_proj.weight": (6, 10),
        "model.embed_tokens.weight": (20, 6),
        "model.norm.weight": (6,),
    }
    weights = {name: numpy.zeros(shape, numpy.float32) for name, shape in shapes.items()}
    save_file(weights, tmp_path / "model.safetensors")
    folder = write_adapter(tmp_path / "adapter", tmp_path, seed=1)
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = load_file(folder / "adapter_model.safetensors")
    assert (config["r"], config["target_modules"]) == (RANK, ["down_proj", "q_proj"])
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (RANK, 6),
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight": (8, RANK),
        "base_model.model.model.layers.1.mlp.down_proj.lora_A.weight": (RANK, 10),
        "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight": (6, RANK),
    }
