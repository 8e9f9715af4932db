"""The base model as files: how large its linear layers are, and what it hashes to."""

import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tunery_adapters.errors import BaseModelAbsentError
from tunery_adapters.hub_cache import model_folder

_CONFIG = "config.json"
_LENGTH_BYTES = 8
_MATRIX = 2
_WEIGHT = ".weight"
_NO_LORA = frozenset({"lm_head", "embed_tokens"})
"""Embeddings and the output head, which the engine serves as they are."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.A)


@dataclass(frozen=True, slots=True)
class Size:
    """Of a linear layer."""

    inputs: int
    outputs: int


Layers: TypeAlias = Mapping[str, Size]
"""Linear layers by their full names, such as ``model.layers.0.self_attn.q_proj``."""


@dataclass(frozen=True, slots=True)
class BaseFiles:
    """``name`` is what clients call it, ``source`` a folder or a hub id."""

    name: str
    source: str

    def is_called(self, name: str) -> bool:
        """Whether a name, or a hub id with any owner, can mean this model; a path never does."""
        known = {_last(self.name), _last(self.source)}
        return _HUB_ID.fullmatch(name) is not None and _last(name) in known

    def layers(self) -> Layers:
        """The layers that a LoRA can be on. Raises BaseModelAbsentError."""
        folder = self._folder()
        config = json.loads((folder / _CONFIG).read_bytes())
        if "quantization_config" in config:
            return dict(_from_config(config.get("text_config") or config))
        return dict(_from_weights(folder))

    def most_bytes(self, rank: int) -> int:
        """What a LoRA in float32 on every layer weighs. Raises BaseModelAbsentError."""
        sides = sum(size.inputs + size.outputs for size in self.layers().values())
        return sides * rank * 4

    def sha256(self) -> str:
        """Of what ``sha256sum config.json *.safetensors`` says. Raises BaseModelAbsentError.

        Reads every byte, the first time in a process.
        """
        folder = self._folder()
        files = [folder / _CONFIG, *sorted(folder.glob("*.safetensors"))]
        lines = [f"{_sha256(*_identity(file))}  {file.name}\n" for file in files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def _folder(self) -> Path:
        folder = model_folder(self.source)
        if folder is None or not (folder / _CONFIG).is_file():
            raise BaseModelAbsentError("the base model is not on this machine yet")
        return folder


def _last(name: str) -> str:
    return name.rpartition("/")[2].casefold()


def _from_weights(folder: Path) -> Iterator[tuple[str, Size]]:
    for file in folder.glob("*.safetensors"):
        for name, entry in _header(file).items():
            module, shape = name.removesuffix(_WEIGHT), entry.get("shape", ())
            if name.endswith(_WEIGHT) and len(shape) == _MATRIX and _takes_lora(module):
                yield module, Size(inputs=shape[1], outputs=shape[0])


def _from_config(config: Mapping[str, Any]) -> Iterator[tuple[str, Size]]:
    """Of the families that name their layers as Llama does; quantised weights tell no shape."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head = config.get("head_dim") or hidden // heads
    keys, inner = config.get("num_key_value_heads", heads) * head, config["intermediate_size"]
    sizes = {
        "self_attn.q_proj": Size(hidden, heads * head),
        "self_attn.k_proj": Size(hidden, keys),
        "self_attn.v_proj": Size(hidden, keys),
        "self_attn.o_proj": Size(heads * head, hidden),
        "mlp.gate_proj": Size(hidden, inner),
        "mlp.up_proj": Size(hidden, inner),
        "mlp.down_proj": Size(inner, hidden),
    }
    for layer in range(config["num_hidden_layers"]):
        yield from ((f"model.layers.{layer}.{name}", size) for name, size in sizes.items())


def _header(file: Path) -> Mapping[str, Mapping[str, Any]]:
    """The operator's own file, so it is believed."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        header: dict[str, Any] = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    return header


def _takes_lora(module: str) -> bool:
    return module.rpartition(".")[2] not in _NO_LORA


def _identity(file: Path) -> tuple[Path, int, int]:
    found = file.stat()
    return file, found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=1024)
def _sha256(file: Path, _size: int, _mtime_ns: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
