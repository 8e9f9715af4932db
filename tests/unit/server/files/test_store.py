import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunery_server.errors import StorageFull, TooLarge
from tunery_server.files.store import FileStore, Stored


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files", max_bytes=10)


def put(store: FileStore, file_id: str, *chunks: bytes) -> Stored:
    with store.incoming(file_id, chunks) as (_, stored):
        pass
    return stored


def test_a_file_comes_back_as_it_was_stored(store: FileStore) -> None:
    stored = put(store, "file-1", b"hello", b"world")
    assert stored == Stored(10, hashlib.sha256(b"helloworld").hexdigest())
    assert list(store.read("file-1", chunk_bytes=4)) == [b"hell", b"owor", b"ld"]


def test_a_file_is_complete_or_not_there(store: FileStore, tmp_path: Path) -> None:
    def look_and_refuse() -> None:
        with store.incoming("file-1", [b"x"]) as (path, _):
            assert path.read_bytes() == b"x"
            assert not store.path("file-1").exists()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        look_and_refuse()
    assert list((tmp_path / "files").iterdir()) == []


def test_the_limit_counts_the_bytes_that_came(store: FileStore, tmp_path: Path) -> None:
    read = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(4)
            yield b"1234"

    with pytest.raises(TooLarge), store.incoming("file-1", endless()):
        pass
    assert len(read) == 3
    assert list((tmp_path / "files").iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_and_leaves_nothing(
    store: FileStore, tmp_path: Path, number: int
) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"1234"
        raise OSError(number, "full")

    with pytest.raises(StorageFull), store.incoming("file-1", breaking()):
        pass
    assert list((tmp_path / "files").iterdir()) == []


def test_deleting_twice_is_harmless(store: FileStore) -> None:
    put(store, "file-1", b"x")
    store.delete("file-1")
    store.delete("file-1")
    assert not store.path("file-1").exists()
