"""Random adapters that weigh what trained ones do."""

import json
import re
from pathlib import Path

import numpy
from safetensors import safe_open
from safetensors.numpy import save_file

RANK = 16
_LINEAR = re.compile(r"\.([a-z]+_proj)\.weight$")


def write_adapter(folder: Path, model: Path, *, seed: int) -> Path:
    """A PEFT folder: rank 16 on every linear layer of ``model``, float32, as the trainer leaves it.

    Its weights are small, so that it changes the model's words and not their sense.
    """
    folder.mkdir(parents=True)
    draws = numpy.random.default_rng(seed)
    layers = linear_layers(model)
    tensors = {}
    for name, (outputs, inputs) in layers.items():
        for half, shape in (("lora_A", (RANK, inputs)), ("lora_B", (outputs, RANK))):
            weights = draws.standard_normal(shape, dtype=numpy.float32) * numpy.float32(0.01)
            tensors[f"base_model.model.{name}.{half}.weight"] = weights
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": sorted({name.rpartition(".")[2] for name in layers}),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def linear_layers(model: Path) -> dict[str, tuple[int, int]]:
    """Outputs and inputs of every projection in a model's blocks, by module name."""
    found = {}
    for file in sorted(model.glob("*.safetensors")):
        with safe_open(file, framework="numpy") as weights:
            for name in weights.keys():  # noqa: SIM118 - no mapping
                if _LINEAR.search(name):
                    outputs, inputs = weights.get_slice(name).get_shape()
                    found[name.removesuffix(".weight")] = (outputs, inputs)
    return found
