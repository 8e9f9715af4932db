"""A safetensors file, read without torch: its header, checked to the byte, and its values.

The layout is the format's own (huggingface/safetensors, README, "Format"): eight bytes of
little-endian header length N, N bytes of JSON, then one buffer that the tensors tile exactly.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tunery_adapters.errors import InvalidAdapterError

MAX_HEADER_BYTES = 8 << 20
MAX_TENSORS = 1 << 16
"""Qwen3-30B-A3B with a pair on every expert, among the widest adapters, has 37 248 tensors."""

MAX_SIDES = 8

ITEM_BYTES = {"F16": 2, "BF16": 2, "F32": 4}

_LENGTH_BYTES = 8
_CHUNK_BYTES = 16 << 20
_INTEGERS: dict[str, tuple[str, int]] = {
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F32": ("<u4", 0x7F80_0000),
}
"""Each dtype as an unsigned integer, and its exponent bits: all of them set is Inf or NaN."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the file; ``begin`` and ``end`` are byte offsets from the file's start."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(file: Path, *, max_bytes: int = MAX_HEADER_BYTES) -> tuple[Tensor, ...]:
    """Return the file's tensors in the order of their bytes; ``max_bytes`` is of the header.

    Raises InvalidAdapterError unless the tensors tile the file without hole, overlap or rest.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        start = _LENGTH_BYTES + length
        if size < _LENGTH_BYTES or start > size or length > max_bytes:
            raise _invalid(file, "its header is cut off or too long")
        entries = _entries(file, stream.read(length))
    tensors = sorted((_tensor(name, entry, start) for name, entry in entries), key=_by_offset)
    _check_tiling(file, tensors, start, size)
    return tuple(tensors)


def check_finite(file: Path, tensors: Iterable[Tensor]) -> None:
    """Raise InvalidAdapterError naming the first tensor that holds a NaN or an infinity."""
    with file.open("rb") as stream:
        for tensor in tensors:
            if not _is_finite(stream, tensor):
                raise InvalidAdapterError(
                    f"{tensor.name} holds a value that is not finite", tensor.name
                )


def load_json(text: bytes) -> Any:
    """Parse strict JSON: no duplicate key, no NaN; raises ValueError."""
    return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)


def _entries(file: Path, text: bytes) -> list[tuple[str, Any]]:
    if not text.startswith(b"{"):
        raise _invalid(file, "its header is not a JSON object")
    try:
        header = load_json(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(file, "its header is not valid JSON") from error
    header.pop("__metadata__", None)
    if not 0 < len(header) <= MAX_TENSORS:
        raise _invalid(file, f"it holds {len(header)} tensors; 1 to {MAX_TENSORS} are allowed")
    return list(header.items())


def _tensor(name: str, entry: Any, start: int) -> Tensor:
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(begin), int(end)]}:
            tensor = Tensor(name, dtype, tuple(shape), start + begin, start + end)
        case _:
            raise InvalidAdapterError(f"{name} is not described as a tensor", name)
    if tensor.dtype not in ITEM_BYTES:
        raise InvalidAdapterError(f"{name} is {dtype[:16]}; F16, BF16 and F32 are served", name)
    if len(shape) > MAX_SIDES or not all(type(side) is int and side > 0 for side in shape):
        raise InvalidAdapterError(f"{name} has a shape that is not a few positive integers", name)
    if tensor.end - tensor.begin != prod(tensor.shape) * ITEM_BYTES[tensor.dtype]:
        raise InvalidAdapterError(f"{name} has another size than its shape says", name)
    return tensor


def _check_tiling(file: Path, tensors: list[Tensor], start: int, size: int) -> None:
    for tensor in tensors:
        if tensor.begin != start:
            raise InvalidAdapterError(
                f"{tensor.name} overlaps another or leaves a hole", tensor.name
            )
        start = tensor.end
    if start != size:
        raise _invalid(file, "its tensors do not end where the file does")


def _is_finite(stream: BinaryIO, tensor: Tensor) -> bool:
    integer, exponent = _INTEGERS[tensor.dtype]
    stream.seek(tensor.begin)
    left = tensor.end - tensor.begin
    while left:
        block = stream.read(min(left, _CHUNK_BYTES))
        bits: npt.NDArray[Any] = np.frombuffer(block, dtype=integer)
        if ((bits & exponent) == exponent).any():
            return False
        left -= len(block)
    return True


def _by_offset(tensor: Tensor) -> tuple[int, int]:
    return tensor.begin, tensor.end


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a key appears twice")
    return mapping


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _invalid(file: Path, why: str) -> InvalidAdapterError:
    return InvalidAdapterError(
        f"{file.name} is not a safetensors file that can be served: {why}", file.name
    )
