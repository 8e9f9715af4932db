"""Files in a real object storage."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.object_storage import ObjectStorage, object_storage
from tunery_server.errors import StorageUnavailable, TooLarge
from tunery_server.files.cache import Cache

from .clock import Clock

if TYPE_CHECKING:
    from tunery_server.files.object_store import ObjectStore

LARGE = 20 * 2**20
"""More than one part."""


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStorage]:
    with object_storage(tmp_path / "storage", monkeypatch) as storage:
        yield storage


@pytest.fixture
def store(storage: ObjectStorage, tmp_path: Path, clock: Clock) -> "ObjectStore":
    return machine(storage, tmp_path / "cache", clock)


def machine(storage: ObjectStorage, cache: Path, clock: Clock) -> "ObjectStore":
    """The store as one machine sees it."""
    from tunery_server.files.object_store import ObjectStore  # noqa: PLC0415 - an extra
    from tunery_server.files.s3 import Bucket  # noqa: PLC0415

    copies = Cache(cache, max_bytes=2**20, clock=clock)
    return ObjectStore(Bucket(storage.url), copies, max_bytes=LARGE)


def put(store: "ObjectStore", file_id: str, content: bytes) -> str:
    with store.incoming() as incoming:
        incoming.write(content)
        incoming.seal()
        incoming.keep(file_id)
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [0, 5, LARGE])
def test_another_machine_reads_what_was_stored(
    store: "ObjectStore", storage: ObjectStorage, tmp_path: Path, clock: Clock, size: int
) -> None:
    content = os.urandom(size)
    put(store, "file-1", content)
    other = machine(storage, tmp_path / "other", clock)
    assert b"".join(other.read("file-1")) == content
    assert other.path("file-1").read_bytes() == content


def test_a_file_is_complete_or_not_there(
    store: "ObjectStore", storage: ObjectStorage, tmp_path: Path
) -> None:
    with store.incoming() as incoming:
        incoming.write(bytes(LARGE))
        with pytest.raises(TooLarge):
            incoming.write(b"x")
        incoming.seal()
        assert not store.path("file-1").exists()
    assert list((tmp_path / "cache").iterdir()) == []
    assert not storage.objects.exists()


def test_a_damaged_copy_is_fetched_anew(store: "ObjectStore") -> None:
    put(store, "file-1", b"hello")
    path = store.path("file-1")
    path.write_bytes(b"hellO")
    assert b"".join(store.read("file-1")) == b"hello"
    assert path.read_bytes() == b"hello"


def test_a_damaged_object_is_not_given_out(
    store: "ObjectStore", storage: ObjectStorage, tmp_path: Path, clock: Clock
) -> None:
    sha256 = put(store, "file-1", b"hello")
    (storage.objects / "files" / "file-1" / sha256).write_bytes(b"hellO")
    with pytest.raises(StorageUnavailable):
        machine(storage, tmp_path / "other", clock).path("file-1")
    assert list((tmp_path / "other").iterdir()) == []


def test_what_is_deleted_is_gone_for_every_machine(
    store: "ObjectStore", storage: ObjectStorage, tmp_path: Path, clock: Clock
) -> None:
    put(store, "file-1", b"hello")
    other = machine(storage, tmp_path / "other", clock)
    being_read = other.read("file-1")
    store.delete("file-1")
    store.delete("file-1")
    assert b"".join(being_read) == b"hello"
    for each in (store, other):
        assert not each.path("file-1").exists()
        with pytest.raises(FileNotFoundError):
            each.read("file-1")


def test_names_are_told_by_when_they_were_stored(store: "ObjectStore") -> None:
    assert store.untouched_since(2**40) == ()
    put(store, "file-1", b"x")
    put(store, "file-10", b"x")
    assert set(store.untouched_since(2**40)) == {"file-1", "file-10"}
    assert store.untouched_since(0.0) == ()


def test_names_are_not_confused_with_longer_ones(store: "ObjectStore") -> None:
    put(store, "file-10", b"x")
    assert not store.path("file-1").exists()
    store.delete("file-1")
    assert store.path("file-10").read_bytes() == b"x"


def test_a_storage_that_is_away_is_told_and_comes_back(
    store: "ObjectStore", storage: ObjectStorage, tmp_path: Path
) -> None:
    put(store, "file-1", b"hello")
    storage.kill()
    with pytest.raises(StorageUnavailable):
        store.path("file-1")
    with pytest.raises(StorageUnavailable):
        put(store, "file-2", b"x")
    assert len(list((tmp_path / "cache").iterdir())) == 1
    storage.start()
    assert store.path("file-1").read_bytes() == b"hello"
    assert not store.path("file-2").exists()


def test_a_wrong_key_is_told(
    storage: ObjectStorage, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-one")
    with pytest.raises(StorageUnavailable):
        machine(storage, tmp_path / "cache", clock).path("file-1")
