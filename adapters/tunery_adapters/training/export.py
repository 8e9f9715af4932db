"""A LoRA out of the model into a PEFT folder, and back in: safetensors and JSON, nothing else."""

import json
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from tunery_adapters.peft_files import CONFIG, WEIGHTS
from tunery_adapters.training.failures import InvalidModelError

_NAME = "default"


def write_adapter(model: PeftModel, folder: Path) -> None:
    """Write ``adapter_model.safetensors`` (float32) and ``adapter_config.json`` into ``folder``."""
    folder.mkdir(parents=True)
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    tensors = {name: _plain(tensor) for name, tensor in sorted(state.items())}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(_config(model), indent=2) + "\n")


def read_adapter(model: PeftModel, folder: Path) -> None:
    """Put the weights of ``folder`` into the model's LoRA."""
    tensors = load_file(folder / WEIGHTS, device=str(model.device))
    result: Any = set_peft_model_state_dict(model, tensors)
    if result.unexpected_keys:
        raise ValueError(f"weights that the model has no place for: {result.unexpected_keys[:3]}")


def read_initial(model: PeftModel, folder: Path) -> None:
    """Put the weights of an adapter that the job goes on from into the model's fresh LoRA.

    Raises InvalidModelError when its scale is not ours to go on with.
    """
    if json.loads((folder / CONFIG).read_bytes()).get("use_rslora"):
        raise InvalidModelError("An adapter scaled by rank (rsLoRA) cannot be continued.", "model")
    read_adapter(model, folder)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", torch.float32).contiguous()


def _config(model: PeftModel) -> dict[str, object]:
    # Written anew rather than by PEFT, whose file names the local path of the base model.
    lora = cast(LoraConfig, model.peft_config[_NAME])
    return {
        "base_model_name_or_path": None,
        "bias": "none",
        "inference_mode": True,
        "lora_alpha": lora.lora_alpha,
        "lora_dropout": lora.lora_dropout,
        "peft_type": "LORA",
        "r": lora.r,
        "target_modules": sorted(set(map(_leaf, lora.target_modules or ()))),
        "task_type": "CAUSAL_LM",
    }


def _leaf(module: str) -> str:
    # PEFT spells "all-linear" out as full paths in a small model and as last names in a large one.
    return module.rpartition(".")[2]
