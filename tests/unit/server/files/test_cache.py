import hashlib
import os
from pathlib import Path

import pytest

from tests.rows import NOW
from tunery_server.files.cache import IN_USE_S, Cache

from .clock import Clock


@pytest.fixture
def cache(tmp_path: Path, clock: Clock) -> Cache:
    root = tmp_path / "cache"
    root.mkdir()
    return Cache(root, max_bytes=10, clock=clock)


def add(cache: Cache, content: bytes) -> str:
    file = cache.root / ".new.incoming"
    file.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    cache.add(file, sha256)
    return sha256


def names(cache: Cache) -> set[str]:
    return {path.name for path in cache.root.iterdir()}


def test_what_was_added_is_found(cache: Cache) -> None:
    path = cache.find(add(cache, b"hello"))
    assert path is not None
    assert path.read_bytes() == b"hello"
    assert cache.find("0" * 64) is None


def test_what_is_damaged_is_removed(cache: Cache) -> None:
    sha256 = add(cache, b"hello")
    (cache.root / sha256).write_bytes(b"hellO")
    assert cache.find(sha256) is None
    assert names(cache) == set()


def test_what_was_used_least_recently_goes_first(cache: Cache, clock: Clock) -> None:
    first, second = add(cache, b"1234"), add(cache, b"5678")
    clock.now += 1
    cache.find(first)
    clock.now += IN_USE_S
    third = add(cache, b"9abc")
    assert names(cache) == {first, third}
    assert cache.find(second) is None


def test_what_is_in_use_stays_beyond_the_bound(cache: Cache, clock: Clock) -> None:
    first = add(cache, b"12345678")
    clock.now += IN_USE_S
    second = add(cache, b"abcdefgh")
    assert names(cache) == {first, second}
    clock.now += 1
    third = add(cache, b"ABCDEFGH")
    assert names(cache) == {second, third}


def test_what_a_crash_left_behind_goes(cache: Cache, clock: Clock) -> None:
    left = cache.root / ".left.incoming"
    left.write_bytes(b"1")
    os.utime(left, (NOW, NOW))
    first = add(cache, b"2")
    assert names(cache) == {left.name, first}
    clock.now += IN_USE_S + 1
    second = add(cache, b"3")
    assert names(cache) == {first, second}
