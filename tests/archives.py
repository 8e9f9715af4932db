"""Adapters packed as clients pack them, well and badly; and a base model for them to fit."""

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.peft import write_peft_folder

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def members(folder: Path) -> dict[str, bytes]:
    """The two files of a good adapter of rank 4 on one layer of 8 in and 8 out."""
    source = write_peft_folder(folder)
    return {name: (source / name).read_bytes() for name in (CONFIG, WEIGHTS)}


def with_config(files: Mapping[str, bytes], **changes: Any) -> dict[str, bytes]:
    return {**files, CONFIG: json.dumps({**json.loads(files[CONFIG]), **changes}).encode()}


def a_tar(
    files: Mapping[str, bytes], *, compression: str = "", more: Sequence[tarfile.TarInfo] = ()
) -> bytes:
    """``compression`` is ``gz`` or none; ``more`` are members without content."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 0.5
            archive.addfile(info, io.BytesIO(content))
        for info in more:
            archive.addfile(info)
    return packed.getvalue()


def a_zip(files: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def safetensors(header: Mapping[str, Any] | bytes, data: bytes = b"") -> bytes:
    """https://github.com/huggingface/safetensors#format: header length, header, data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def write_base_model(folder: Path, *, inputs: int = 8, outputs: int = 8, **config: Any) -> Path:
    """One layer, ``q_proj``, and the embeddings of nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    header, data = {}, b""
    shapes = {
        "model.layers.0.self_attn.q_proj.weight": [outputs, inputs],
        "model.embed_tokens.weight": [4, inputs],
        "model.norm.weight": [inputs],
    }
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {
            "dtype": "BF16",
            "shape": shape,
            "data_offsets": [len(data), len(data) + size],
        }
        data += bytes(size)
    (folder / "model.safetensors").write_bytes(safetensors(header, data))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    return folder
