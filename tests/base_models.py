"""Folders that measure what a base model measures, and hold no weight."""

import json
import struct
from pathlib import Path
from typing import Any

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
}


def write_sizes(folder: Path, **changes: int) -> Path:
    """``config.json`` and a sparse ``model.safetensors`` in bfloat16 of a Llama of these sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {**SIZES, **changes}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **sizes}))
    header, end = {}, 0
    for name, shape in _shapes(sizes).items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return folder


def _shapes(sizes: dict[str, Any]) -> dict[str, list[int]]:
    hidden, wide = sizes["hidden_size"], sizes["intermediate_size"]
    keys = hidden // sizes["num_attention_heads"] * sizes["num_key_value_heads"]
    layer = {
        "self_attn.q_proj": [hidden, hidden],
        "self_attn.k_proj": [keys, hidden],
        "self_attn.v_proj": [keys, hidden],
        "self_attn.o_proj": [hidden, hidden],
        "mlp.gate_proj": [wide, hidden],
        "mlp.up_proj": [wide, hidden],
        "mlp.down_proj": [hidden, wide],
        "input_layernorm": [hidden],
    }
    layers = {
        f"model.layers.{number}.{name}.weight": shape
        for number in range(sizes["num_hidden_layers"])
        for name, shape in layer.items()
    }
    return {"model.embed_tokens.weight": [sizes["vocab_size"], hidden], **layers}
