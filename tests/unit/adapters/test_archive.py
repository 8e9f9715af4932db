"""Of an archive two files come out, or nothing does, and never more than an adapter can be."""

import gzip
import io
import os
import stat
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.archives import CONFIG, WEIGHTS, a_tar, a_zip, members
from tunery_adapters.archive import unpack
from tunery_adapters.errors import (
    ArchiveTooLargeError,
    InvalidAdapterError,
    UnsupportedArchiveError,
)

MAX_BYTES = 32 << 20

Pack = Callable[[dict[str, bytes]], bytes]

PACKS: dict[str, Pack] = {
    "tar": a_tar,
    "tar.gz": lambda files: a_tar(files, compression="gz"),
    "zip": a_zip,
    "stored zip": lambda files: a_zip(files, method=zipfile.ZIP_STORED),
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    return members(tmp_path / "peft")


@pytest.fixture(params=PACKS)
def pack(request: pytest.FixtureRequest) -> Pack:
    return PACKS[request.param]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def unpacked(packed: bytes, folder: Path, max_bytes: int = MAX_BYTES) -> dict[str, bytes]:
    archive = folder.with_name("archive")
    archive.write_bytes(packed)
    unpack(archive, folder, max_bytes=max_bytes)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refusal(packed: bytes, folder: Path) -> InvalidAdapterError:
    with pytest.raises(InvalidAdapterError) as caught:
        unpacked(packed, folder)
    assert str(folder.parent) not in caught.value.message
    assert all(path.name in {CONFIG, WEIGHTS} for path in folder.parent.rglob("*/*/*"))
    return caught.value


@pytest.mark.parametrize("prefix", ["", "./", "my-adapter/"])
def test_both_files_come_out_and_the_card_does_not(
    files: dict[str, bytes], pack: Pack, folder: Path, prefix: str
) -> None:
    packed = pack({prefix + name: text for name, text in {**files, "README.md": b"# hi"}.items()})
    assert unpacked(packed, folder) == files


def test_what_a_shell_packs_comes_out(
    files: dict[str, bytes], folder: Path, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "shell.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(tmp_path / "peft", "adapter")
    assert unpacked((tmp_path / "shell.tar").read_bytes(), folder) == files


@pytest.mark.parametrize(
    "name",
    [
        "adapter_model.bin",
        "pytorch_model.pt",
        "weights.pkl",
        "tokenizer.json",
        "chat_template.jinja",
        "special_tokens_map.json",
        "nested.zip",
        "../adapter_config.json",
        "/adapter_config.json",
        "a/../adapter_config.json",
        "a/b/adapter_config.json",
        "..\\adapter_config.json",
        "a//adapter_config.json",
        "adapter_config.json ",
        ".",
        "x" * 90,
    ],
)
def test_a_member_that_is_not_expected_is_refused(
    files: dict[str, bytes], pack: Pack, folder: Path, name: str
) -> None:
    assert refusal(pack({name: b"x", **files}), folder).code == "unsupported_format"
    assert not (folder.parent / "adapter_config.json").exists()


def test_the_same_member_twice_is_refused(
    files: dict[str, bytes], pack: Pack, folder: Path
) -> None:
    twice = pack({**files, f"a/{CONFIG}": b"{}"})
    assert isinstance(refusal(twice, folder), UnsupportedArchiveError)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_missing_member_is_named(
    files: dict[str, bytes], pack: Pack, folder: Path, name: str
) -> None:
    del files[name]
    assert refusal(pack(files), folder).param == name


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
        b"Z",
    ],
)
def test_what_is_no_plain_file_is_refused(
    files: dict[str, bytes], folder: Path, kind: bytes
) -> None:
    info = tarfile.TarInfo(CONFIG)
    info.type, info.linkname = kind, "/etc/passwd"
    assert refusal(a_tar({WEIGHTS: files[WEIGHTS]}, more=[info]), folder).param == "file"


def test_a_link_in_a_zip_is_refused(files: dict[str, bytes], folder: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        info = zipfile.ZipInfo(CONFIG)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr(WEIGHTS, files[WEIGHTS])
    assert isinstance(refusal(packed.getvalue(), folder), UnsupportedArchiveError)


def test_a_link_that_a_later_member_would_be_written_through_is_refused(
    files: dict[str, bytes], folder: Path
) -> None:
    link = tarfile.TarInfo("a")
    link.type, link.linkname = tarfile.SYMTYPE, str(folder.parent)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(link)
    body = packed.getvalue()[:512] + a_tar({f"a/{name}": text for name, text in files.items()})
    assert isinstance(refusal(body, folder), UnsupportedArchiveError)
    assert not (folder.parent / CONFIG).exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_of_another_method_is_refused(
    files: dict[str, bytes], folder: Path, method: int
) -> None:
    assert refusal(a_zip(files, method=method), folder).code == "unsupported_format"


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"{}",
        b"\x80\x04\x95",
        b"BZh91AY&SY",
        b"\xfd7zXZ\x00",
        b"7z\xbc\xaf'\x1c",
        os.urandom(64),
    ],
)
def test_what_is_no_archive_is_refused(folder: Path, packed: bytes) -> None:
    assert refusal(packed * 200, folder).code == "unsupported_format"


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_bomb_is_refused_in_little_time_and_memory(folder: Path, kind: str) -> None:
    """300 MB of zeros in 300 kB."""
    packed = PACKS[kind]({CONFIG: b"{}", WEIGHTS: bytes(300 << 20)})
    assert len(packed) < 1 << 20
    tracemalloc.start()
    began = time.process_time()
    assert isinstance(refusal(packed, folder), ArchiveTooLargeError)
    assert time.process_time() - began < 4
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 20 * len(packed) + (1 << 20)


def test_no_more_than_the_largest_adapter_comes_out(folder: Path, pack: Pack) -> None:
    packed = pack({CONFIG: b"{}", WEIGHTS: os.urandom(2 << 20)})
    with pytest.raises(ArchiveTooLargeError):
        unpacked(packed, folder, max_bytes=1 << 20)


def test_a_long_extended_header_is_not_taken_into_memory(folder: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    packed = gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(64 << 20))
    assert "extended header" in refusal(packed, folder).message


@pytest.mark.parametrize("field", ["path", "size", "linkpath", "GNU.sparse.name"])
def test_an_extended_header_that_renames_is_refused(
    files: dict[str, bytes], folder: Path, field: str
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo(CONFIG)
        info.size, info.pax_headers = len(files[CONFIG]), {field: "1"}
        archive.addfile(info, io.BytesIO(files[CONFIG]))
    assert "extended header" in refusal(packed.getvalue(), folder).message


def test_many_members_are_refused_at_once(
    files: dict[str, bytes], pack: Pack, folder: Path
) -> None:
    many = {f"{number}/README.md": b"" for number in range(2000)}
    began = time.process_time()
    assert isinstance(refusal(pack({**many, **files}), folder), UnsupportedArchiveError)
    assert time.process_time() - began < 2


def test_a_zip_with_a_comment_is_refused(files: dict[str, bytes], folder: Path) -> None:
    """What stands behind the members could be read as another directory of them."""
    packed = io.BytesIO(a_zip(files))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.comment = b"PK"
    assert isinstance(refusal(packed.getvalue(), folder), UnsupportedArchiveError)


def test_an_encrypted_zip_is_refused(files: dict[str, bytes], folder: Path) -> None:
    packed = bytearray(a_zip(files))
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        packed[packed.index(signature) + offset] |= 1
    assert isinstance(refusal(bytes(packed), folder), UnsupportedArchiveError)


@pytest.mark.parametrize("share", [0.01, 0.4, 0.8])
def test_a_cut_archive_is_refused(
    files: dict[str, bytes], pack: Pack, folder: Path, share: float
) -> None:
    files[WEIGHTS] = os.urandom(50_000)
    packed = pack(files)
    refusal(packed[: int(len(packed) * share)], folder)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kind=st.sampled_from(sorted(PACKS)), data=st.data())
def test_a_damaged_archive_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: Any
) -> None:
    """Whatever bytes are changed, nothing but a refusal comes of it."""
    folder = tmp_path_factory.mktemp("damaged")
    packed = bytearray(PACKS[kind]({CONFIG: b'{"r": 8}', WEIGHTS: b"weights" * 9}))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    out = folder / "out"
    out.mkdir()
    try:
        found = unpacked(bytes(packed), out)
    except InvalidAdapterError:
        return
    assert found.keys() == {CONFIG, WEIGHTS}
