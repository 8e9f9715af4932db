"""Small PEFT folders, good and bad."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

RANK = 8
PREFIX = "base_model.model.model.layers.0.self_attn"

CONFIG: dict[str, Any] = {
    "peft_type": "LORA",
    "base_model_name_or_path": "/srv/models/secret",
    "auto_mapping": None,
    "bias": "none",
    "inference_mode": True,
    "init_lora_weights": True,
    "lora_alpha": 16,
    "lora_bias": False,
    "modules_to_save": None,
    "r": RANK,
    "rank_pattern": {},
    "target_modules": ["q_proj", "v_proj"],
    "task_type": "CAUSAL_LM",
    "use_dora": False,
}

Weights = dict[str, "np.ndarray[Any, Any]"]
MakeFolder = Callable[..., Path]


def weights() -> Weights:
    generator = np.random.default_rng(0)
    return {
        f"{PREFIX}.{module}.lora_{side}.weight": generator.standard_normal(shape, np.float32)
        for module in ("q_proj", "v_proj")
        for side, shape in (("A", (RANK, 32)), ("B", (16, RANK)))
    }


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Make a PEFT folder; keyword arguments change its configuration."""

    def make(tensors: Weights | None = None, **changes: Any) -> Path:
        folder = tmp_path / "peft"
        folder.mkdir(exist_ok=True)
        (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, **changes}))
        save_file(weights() if tensors is None else tensors, folder / "adapter_model.safetensors")
        return folder

    return make
