"""A small but true PEFT folder, for tests that publish one."""

import json
import struct
from pathlib import Path

RANK = 4
_HIDDEN = 8
_MODULE = "base_model.model.model.layers.0.self_attn.q_proj"


def write_peft_folder(folder: Path, *, value: float = 0.5, hidden: int = _HIDDEN) -> Path:
    """A LoRA of one module in float32, every weight ``value``; what the trainer leaves behind."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": ["q_proj"],
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(_safetensors(value, hidden))
    return folder


def _safetensors(value: float, hidden: int) -> bytes:
    """https://github.com/huggingface/safetensors#format: header length, header, data."""
    shapes = {f"{_MODULE}.lora_A.weight": [RANK, hidden], f"{_MODULE}.lora_B.weight": [8, RANK]}
    header, data = {}, b""
    for name, shape in shapes.items():
        weights = struct.pack("<f", value) * (shape[0] * shape[1])
        offsets = [len(data), len(data) + len(weights)]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
        data += weights
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data
