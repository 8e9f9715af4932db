"""What a base model measures: read from its configuration and the headers of its weights.

Nothing is loaded, so that a server knows what training will take before anything starts.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from tunery_adapters.errors import InvalidAdapterError
from tunery_adapters.hub_cache import model_folder
from tunery_adapters.tensor_file import Tensor, read_header

CONFIG = "config.json"
_WEIGHT = ".weight"
_SIDES = 2


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer, by the last part of its name, such as ``q_proj``."""

    name: str
    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseShape:
    """Sizes of a decoder, in elements."""

    parameters: int
    file_bytes: int
    """Of all weights on disk."""
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    queries: int
    """Heads times their width."""
    keys: int
    """Heads of keys, or of values, times their width."""
    linears: tuple[Linear, ...]
    """All but the embedding and the output head."""

    @property
    def linear_names(self) -> tuple[str, ...]:
        """What a LoRA can be attached to."""
        return tuple(sorted({linear.name for linear in self.linears}))


def read_shape(folder: Path) -> BaseShape | None:
    """The model's sizes; None for one whose files do not say them in the usual words."""
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        tensors = [tensor for file in _files(folder) for tensor in read_header(file)]
        return _shape(config.get("text_config", config), tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidAdapterError):
        return None


def _files(folder: Path) -> Iterator[Path]:
    found = sorted(folder.glob("model*.safetensors"))
    if not found:
        raise FileNotFoundError("no weights")
    yield from found


def _shape(config: Mapping[str, Any], tensors: list[Tensor]) -> BaseShape:
    heads = config["num_attention_heads"]
    width = config.get("head_dim") or config["hidden_size"] // heads
    return BaseShape(
        parameters=sum(prod(tensor.shape) for tensor in tensors),
        file_bytes=sum(tensor.end - tensor.begin for tensor in tensors),
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        intermediate=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        queries=heads * width,
        keys=(config.get("num_key_value_heads") or heads) * width,
        linears=tuple(_linears(tensors, config["vocab_size"])),
    )


def _linears(tensors: list[Tensor], vocabulary: int) -> Iterator[Linear]:
    for tensor in tensors:
        if tensor.name.endswith(_WEIGHT) and len(tensor.shape) == _SIDES:
            outputs, inputs = tensor.shape
            if outputs < vocabulary:  # neither embedding nor output head
                yield Linear(tensor.name.removesuffix(_WEIGHT).rpartition(".")[2], inputs, outputs)


class BaseModel:
    """A base model by its folder or its hub id, whose files may come later."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._shape: BaseShape | None = None

    @property
    def is_here(self) -> bool:
        """Whether its files are on this machine."""
        return model_folder(self.path) is not None

    def shape(self) -> BaseShape | None:
        """Its sizes; None while they cannot be told."""
        if self._shape is None and (folder := model_folder(self.path)):
            self._shape = read_shape(folder)
        return self._shape
