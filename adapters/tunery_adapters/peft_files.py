"""A PEFT LoRA folder: what is in it, and whether the engine can serve it.

Both files are treated as hostile. What is refused is what vLLM 0.32 refuses or would misread
(vllm/lora/peft_helper.py, vllm/lora/lora_model.py), found here before an engine sees it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunery_adapters.base_files import BaseFiles, Layers
from tunery_adapters.errors import (
    InvalidAdapterError,
    OtherBaseError,
    UnsupportedAdapterError,
)
from tunery_adapters.tensor_file import (
    MAX_HEADER_BYTES,
    Tensor,
    check_finite,
    load_json,
    read_header,
)

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
MAX_CONFIG_BYTES = 1 << 20
MAX_ALPHA = 1e6

_FIXED_HEADER_BYTES = 1 << 16
_TENSOR_HEADER_BYTES = 512

_REFUSED_WHEN_SET = (
    "use_dora",
    "lora_bias",
    "use_qalora",
    "use_bdlora",
    "alora_invocation_tokens",
    "layer_replication",
    "modules_to_save",
    "trainable_token_indices",
    "target_parameters",
    "rank_pattern",
    "alpha_pattern",
    "megatron_config",
    "exclude_modules",
    "fan_in_fan_out",
    "auto_mapping",
    "corda_config",
    "loftq_config",
    "lora_ga_config",
    "velora_config",
    "monteclora_config",
    "arrow_config",
    "kasa_config",
)
"""Keys that change what the weights mean, or name what PEFT would import or load.

Each may be there only with an empty value.
"""

_PLAIN_INITS = ("gaussian", "eva", "orthogonal")
"""Named initialisations that leave the base as it was, unlike PiSSA, OLoRA, LoftQ or CorDA."""

_MEGATRON_CORE = "megatron.core"
"""What PEFT writes there by default."""

_NAME = re.compile(
    r"base_model\.model\.(?P<module>\w+(?:\.\w+)*)\.lora_(?P<side>[AB])\.weight", re.A
)
_MODULE = re.compile(r"\w{1,128}(?:\.\w{1,128}){0,31}", re.A)


@dataclass(frozen=True, slots=True)
class PeftFolder:
    """A checked LoRA folder."""

    rank: int
    alpha: float
    use_rslora: bool
    target_modules: tuple[str, ...]
    tensor_count: int


def inspect(folder: Path, *, max_rank: int, base: BaseFiles | None = None) -> PeftFolder:
    """Check ``adapter_config.json`` and ``adapter_model.safetensors`` to the last value.

    With ``base`` against its name and the sizes of its layers, too. Raises InvalidAdapterError,
    whose ``param`` names the file, key or tensor at fault, and BaseModelAbsentError.
    """
    config = _read_config(_regular_file(folder, CONFIG))
    weights = _regular_file(folder, WEIGHTS)
    rank = _rank(config, max_rank)
    targets = _target_modules(config)
    if base is None:
        tensors = read_header(weights)
        _check_pairs(tensors, rank, targets)
    else:
        _check_base_name(config, base)
        layers = base.layers()
        tensors = read_header(weights, max_bytes=_header_bytes(len(layers)))
        _check_pairs(tensors, rank, targets)
        _check_sizes(tensors, layers)
    check_finite(weights, tensors)
    return PeftFolder(
        rank=rank,
        alpha=_alpha(config),
        use_rslora=config.get("use_rslora") is True,
        target_modules=targets,
        tensor_count=len(tensors),
    )


def _regular_file(folder: Path, name: str) -> Path:
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise InvalidAdapterError(f"{name} is missing", name)
    return path


def _read_config(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise InvalidAdapterError(f"{CONFIG} is larger than {MAX_CONFIG_BYTES} bytes", CONFIG)
    try:
        config = load_json(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidAdapterError(f"{CONFIG} is not valid JSON", CONFIG) from error
    if not isinstance(config, dict):
        raise InvalidAdapterError(f"{CONFIG} is not a JSON object", CONFIG)
    _check_features(config)
    return config


def _check_features(config: Mapping[str, Any]) -> None:
    if config.get("peft_type") != "LORA":
        raise UnsupportedAdapterError("only adapters of peft_type LORA are served", "peft_type")
    if config.get("bias", "none") != "none":
        raise UnsupportedAdapterError("bias must be 'none'", "bias")
    if config.get("megatron_core") not in (None, _MEGATRON_CORE):
        raise UnsupportedAdapterError("megatron_core names no module of PEFT's", "megatron_core")
    init = config.get("init_lora_weights", True)
    if not (init is None or isinstance(init, bool) or init in _PLAIN_INITS):
        raise UnsupportedAdapterError(
            "init_lora_weights changes the base model", "init_lora_weights"
        )
    for key in _REFUSED_WHEN_SET:
        if config.get(key):
            raise UnsupportedAdapterError(f"{key} cannot be served", key)


def _check_base_name(config: Mapping[str, Any], base: BaseFiles) -> None:
    named = config.get("base_model_name_or_path")
    if named is not None and not (isinstance(named, str) and base.is_called(named)):
        raise OtherBaseError(
            f"the adapter says that it belongs to another base model than {base.name!r}",
            "base_model_name_or_path",
        )


def _rank(config: Mapping[str, Any], max_rank: int) -> int:
    rank = config.get("r")
    if type(rank) is not int or not 1 <= rank <= max_rank:
        raise InvalidAdapterError(f"r must be an integer from 1 to {max_rank}", "r")
    return rank


def _alpha(config: Mapping[str, Any]) -> float:
    alpha = config.get("lora_alpha")
    if isinstance(alpha, (int, float)) and 0 < alpha <= MAX_ALPHA:
        return float(alpha)
    raise InvalidAdapterError("lora_alpha must be a number above 0", "lora_alpha")


def _target_modules(config: Mapping[str, Any]) -> tuple[str, ...]:
    targets = config.get("target_modules")
    if not isinstance(targets, list) or not targets:
        raise InvalidAdapterError("target_modules must be a list of names", "target_modules")
    if not all(isinstance(name, str) and _MODULE.fullmatch(name) for name in targets):
        raise InvalidAdapterError("target_modules holds what is no module's name", "target_modules")
    return tuple(sorted(set(targets)))


def _check_pairs(tensors: Iterable[Tensor], rank: int, targets: tuple[str, ...]) -> None:
    sides: dict[str, set[str]] = {}
    for tensor in tensors:
        module, side = _module_and_side(tensor)
        if not _is_target(module, targets):
            raise InvalidAdapterError(f"{tensor.name} is not under target_modules", tensor.name)
        if not _fits_rank(tensor, side, rank):
            raise InvalidAdapterError(f"{tensor.name} has no shape for r={rank}", tensor.name)
        sides.setdefault(module, set()).add(side)
    for module, found in sides.items():
        if found != {"A", "B"}:
            raise InvalidAdapterError(f"{module} has only one of lora_A and lora_B", module)


def _header_bytes(layers: int) -> int:
    """More than the header of a pair on every layer takes, so that no longer one is parsed."""
    return min(MAX_HEADER_BYTES, _FIXED_HEADER_BYTES + 2 * layers * _TENSOR_HEADER_BYTES)


def _check_sizes(tensors: Iterable[Tensor], layers: Layers) -> None:
    for tensor in tensors:
        module, side = _module_and_side(tensor)
        if module not in layers:
            raise InvalidAdapterError(f"the base model has no linear layer {module}", tensor.name)
        size, found = layers[module], tensor.shape[1] if side == "A" else tensor.shape[0]
        if found != (size.inputs if side == "A" else size.outputs):
            raise InvalidAdapterError(
                f"{tensor.name} does not fit {module}: {size.inputs} in, {size.outputs} out",
                tensor.name,
            )


def _module_and_side(tensor: Tensor) -> tuple[str, str]:
    match = _NAME.fullmatch(tensor.name)
    if match is None:
        shown = tensor.name[:200]
        raise InvalidAdapterError(f"{shown!r} is not the name of a LoRA weight", shown)
    return match["module"], match["side"]


def _fits_rank(tensor: Tensor, side: str, rank: int) -> bool:
    match side, tensor.shape:
        case ("A", (found, _)) | ("B", (_, found)):
            return found == rank
        case _:
            return False


def _is_target(module: str, targets: tuple[str, ...]) -> bool:
    return any(module == name or module.endswith("." + name) for name in targets)
