"""Results survive whoever wrote them, and each line has one."""

import json
from pathlib import Path

import pytest

from tunery_server.batches.parts import ERRORS, OUTPUT, Part, PartStore
from tunery_server.batches.results import LineAnswer, answered, expired

USAGE = {
    "prompt_tokens": 5,
    "completion_tokens": 2,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": None,
}


@pytest.fixture
def store(tmp_path: Path) -> PartStore:
    return PartStore(tmp_path / "batches")


def add(part: Part, custom_id: str, status: int = 200) -> None:
    body = {"usage": USAGE} if status == 200 else {"error": {"code": "x"}}
    part.append(answered(custom_id, "req_1", LineAnswer(status, body)))


def ids(part: Part, name: str) -> list[str]:
    return [json.loads(line)["custom_id"] for line in b"".join(part.chunks(name)).splitlines()]


def test_good_and_bad_lines_go_to_different_files(store: PartStore) -> None:
    part = store.begin("batch_1", 1)
    assert not part.has(OUTPUT)
    add(part, "a")
    add(part, "b", 400)
    part.append(expired("c"))
    assert (ids(part, OUTPUT), ids(part, ERRORS)) == (["a"], ["b", "c"])
    assert part.done == {"a", "b", "c"}
    usage = {"input": 5, "cached": 4, "output": 2, "reasoning": 0}
    assert part.progress() == {"completed": 1, "failed": 2, "usage": usage}


def test_a_line_gets_one_result(store: PartStore) -> None:
    part = store.begin("batch_1", 1)
    add(part, "a")
    add(part, "a", 400)
    assert (ids(part, OUTPUT), ids(part, ERRORS)) == (["a"], [])


def test_a_later_attempt_goes_on_from_the_whole_lines_of_the_last(store: PartStore) -> None:
    first = store.begin("batch_1", 1)
    add(first, "a")
    add(first, "b", 400)
    add(first, "torn")
    output = store._root / "batch_1" / "1" / OUTPUT
    output.write_bytes(output.read_bytes()[:-10])
    second = store.begin("batch_1", 10)
    assert second.done == {"a", "b"}
    assert second.progress()["completed"] == 1
    add(second, "torn")
    third = store.begin("batch_1", 11)
    assert ids(third, OUTPUT) == ["a", "torn"]
    assert third.progress() == second.progress()


def test_whoever_lost_the_batch_writes_where_nobody_reads(store: PartStore) -> None:
    late = store.begin("batch_1", 1)
    add(late, "a")
    part = store.begin("batch_1", 2)
    add(late, "b")
    add(part, "b")
    assert ids(part, OUTPUT) == ["a", "b"]


def test_an_attempt_that_died_while_it_began_is_passed_over(store: PartStore) -> None:
    add(store.begin("batch_1", 1), "a")
    dead = store._root / "batch_1" / ".2"
    dead.mkdir()
    (dead / OUTPUT).write_bytes(b"{")
    assert store.begin("batch_1", 3).done == {"a"}


def test_a_closed_part_takes_nothing(store: PartStore) -> None:
    part = store.begin("batch_1", 1)
    add(part, "a")
    part.close()
    add(part, "b")
    assert ids(part, OUTPUT) == ["a"]


def test_what_is_dropped_is_gone(store: PartStore) -> None:
    assert store.batch_ids() == frozenset()
    add(store.begin("batch_1", 1), "a")
    store.begin("batch_2", 1)
    store.drop("batch_1")
    store.drop("batch_1")
    assert store.batch_ids() == {"batch_2"}
