"""A safetensors file is checked to the byte before anything believes it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunery_adapters.errors import InvalidAdapterError
from tunery_adapters.tensor_file import MAX_HEADER_BYTES, check_finite, read_header


def entry(begin: int, end: int, **changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [(end - begin) // 4], "data_offsets": [begin, end], **changes}


def write(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((length or len(text)).to_bytes(8, "little") + text + data)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "adapter_model.safetensors"


def test_tensors_come_in_the_order_of_their_bytes(file: Path) -> None:
    header = {"__metadata__": {"format": "pt"}, "b": entry(8, 16), "a": entry(0, 8)}
    tensors = read_header(write(file, header, bytes(16)))
    assert [(tensor.name, tensor.shape) for tensor in tensors] == [("a", (2,)), ("b", (2,))]
    assert tensors[-1].end == file.stat().st_size
    check_finite(file, tensors)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        pytest.param({"a": entry(0, 8), "b": entry(8, 16)}, bytes(15), id="cut off"),
        pytest.param({"a": entry(0, 8)}, bytes(9), id="trailing bytes"),
        pytest.param({"a": entry(0, 8), "b": entry(12, 16)}, bytes(16), id="hole"),
        pytest.param({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12), id="overlap"),
        pytest.param({"a": entry(0, 8, shape=[3])}, bytes(8), id="shape beyond its bytes"),
        pytest.param({"a": entry(0, 8, shape=[2**62, 2**62, 0])}, bytes(8), id="shape overflow"),
        pytest.param({"a": entry(0, 8, shape=[-1, -2])}, bytes(8), id="negative shape"),
        pytest.param({"a": entry(0, 8, shape=[True, 2])}, bytes(8), id="boolean shape"),
        pytest.param({"a": entry(0, 8, shape=[1] * 100_000)}, bytes(8), id="endless shape"),
        pytest.param({"a": entry(0, 8, dtype="EVIL")}, bytes(8), id="unknown dtype"),
        pytest.param({"a": entry(0, 8, dtype="F64", shape=[1])}, bytes(8), id="double"),
        pytest.param({"a": {"dtype": "F32"}}, bytes(8), id="no offsets"),
        pytest.param({"a": 3}, bytes(8), id="not a tensor"),
        pytest.param({}, b"", id="empty"),
        pytest.param(b"[]", b"", id="not an object"),
        pytest.param(b'{"a":', b"", id="not JSON"),
        pytest.param(b'{"a": NaN}', b"", id="NaN in the header"),
        pytest.param(b'{"a":{},"a":{}}', b"", id="duplicate key"),
        pytest.param(b'{"a":' + b"[" * 100_000, b"", id="deep JSON"),
    ],
)
def test_a_file_that_does_not_add_up_is_refused(file: Path, header: Any, data: bytes) -> None:
    with pytest.raises(InvalidAdapterError):
        read_header(write(file, header, data))


@pytest.mark.parametrize("length", [2**63, MAX_HEADER_BYTES + 1, 100])
def test_a_header_longer_than_the_file_or_the_limit_is_refused(file: Path, length: int) -> None:
    with pytest.raises(InvalidAdapterError, match="header"):
        read_header(write(file, {"a": entry(0, 8)}, bytes(8), length))


def test_three_hundred_thousand_tensors_are_refused(file: Path) -> None:
    header = "{" + ",".join(f'"{i}":{{}}' for i in range(300_000)) + "}"
    with pytest.raises(InvalidAdapterError, match="300000 tensors"):
        read_header(write(file, header.encode()))


@pytest.mark.parametrize(
    ("dtype", "bits", "finite"),
    [
        ("F32", 0x7F80_0000, False),
        ("F32", 0xFF80_0000, False),
        ("F32", 0x7FC0_0001, False),
        ("F32", 0x7F7F_FFFF, True),
        ("F16", 0x7C00, False),
        ("F16", 0xFE01, False),
        ("F16", 0x7BFF, True),
        ("BF16", 0x7F80, False),
        ("BF16", 0xFFC0, False),
        ("BF16", 0x7F7F, True),
    ],
)
def test_every_infinity_and_nan_is_found(file: Path, dtype: str, bits: int, finite: bool) -> None:
    values = np.zeros(5, np.uint32 if dtype == "F32" else np.uint16)
    values[3] = bits
    header = {"w": {"dtype": dtype, "shape": [5], "data_offsets": [0, values.nbytes]}}
    tensors = read_header(write(file, header, values.tobytes()))
    if finite:
        check_finite(file, tensors)
    else:
        with pytest.raises(InvalidAdapterError, match="not finite") as caught:
            check_finite(file, tensors)
        assert caught.value.param == "w"
