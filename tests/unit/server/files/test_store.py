import errno
import hashlib
import os
import resource
import signal
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from tunery_server.errors import StorageFull, TooLarge
from tunery_server.files.incoming import Incoming, Stored
from tunery_server.files.store import FileStore, renamed


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files", max_bytes=10)


def put(store: FileStore, file_id: str, *chunks: bytes) -> Stored:
    with store.incoming() as incoming:
        for chunk in chunks:
            incoming.write(chunk)
        stored = incoming.seal()
        incoming.keep(file_id)
    return stored


def test_a_file_comes_back_as_it_was_stored(store: FileStore) -> None:
    stored = put(store, "file-1", b"hello", b"world")
    assert stored == Stored(10, hashlib.sha256(b"helloworld").hexdigest())
    assert list(store.read("file-1", chunk_bytes=4)) == [b"hell", b"owor", b"ld"]


def test_a_file_is_complete_or_not_there(store: FileStore, tmp_path: Path) -> None:
    def look_and_refuse() -> None:
        with store.incoming() as incoming:
            incoming.write(b"x")
            incoming.seal()
            assert incoming.path.read_bytes() == b"x"
            assert not store.path("file-1").exists()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        look_and_refuse()
    assert list((tmp_path / "files").iterdir()) == []


def test_nothing_beyond_the_limit_is_written(store: FileStore, tmp_path: Path) -> None:
    with store.incoming() as incoming:
        incoming.write(b"12345678")
        with pytest.raises(TooLarge):
            incoming.write(b"123")
        incoming.seal()
        assert incoming.path.read_bytes() == b"12345678"
    assert list((tmp_path / "files").iterdir()) == []


class FullDisk:
    """A file on a disk that has no room left, or not for this file."""

    def __init__(self, file: BinaryIO, number: int) -> None:
        self.name = file.name
        self._file = file
        self._number = number

    def write(self, chunk: bytes) -> int:
        self._file.write(chunk[:1])
        raise OSError(self._number, os.strerror(self._number))

    def close(self) -> None:
        self._file.close()
        raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    full = cast(BinaryIO, FullDisk((tmp_path / ".x.incoming").open("wb"), number))
    with pytest.raises(StorageFull), Incoming(full, max_bytes=10, place=renamed) as incoming:
        incoming.write(b"1234")
    assert list(tmp_path.iterdir()) == []


def test_another_fault_of_the_disk_is_not_called_full(tmp_path: Path) -> None:
    broken = cast(BinaryIO, FullDisk((tmp_path / ".x.incoming").open("wb"), errno.EIO))
    with (
        pytest.raises(OSError, match="Input/output") as raised,
        Incoming(broken, max_bytes=10, place=renamed) as i,
    ):
        i.write(b"1234")
    assert not isinstance(raised.value, StorageFull)
    assert list(tmp_path.iterdir()) == []


def test_a_really_full_disk(small_disk: Path) -> None:
    store = FileStore(small_disk, max_bytes=2**22)
    put(store, "file-1", b"kept")
    with pytest.raises(StorageFull):
        put(store, "file-2", *32 * [bytes(2**16)])
    assert [path.name for path in small_disk.iterdir()] == ["file-1"]
    assert put(store, "file-2", bytes(2**17)).bytes == 2**17


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = FileStore(tmp_path / "files", max_bytes=2**20)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
        with pytest.raises(StorageFull):
            put(store, "file-1", bytes(2**17))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    assert list((tmp_path / "files").iterdir()) == []


def test_what_is_being_read_may_be_deleted(store: FileStore) -> None:
    put(store, "file-1", b"hello")
    pieces = store.read("file-1", chunk_bytes=1)
    store.delete("file-1")
    assert b"".join(pieces) == b"hello"
    with pytest.raises(FileNotFoundError):
        store.read("file-1")


def test_deleting_twice_is_harmless(store: FileStore) -> None:
    put(store, "file-1", b"x")
    store.delete("file-1")
    store.delete("file-1")
    assert not store.path("file-1").exists()


def test_names_are_told_by_when_they_were_written_to(store: FileStore) -> None:
    assert store.untouched_since(100.0) == ()
    for name, written_at in (("file-1", 10.0), ("file-2", 99.0), ("file-3", 100.0)):
        put(store, name, b"x")
        os.utime(store.path(name), (written_at, written_at))
    assert set(store.untouched_since(100.0)) == {"file-1", "file-2"}
