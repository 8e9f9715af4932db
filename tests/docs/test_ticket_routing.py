"""The ticket-routing data is valid, balanced, and its held-out part is not in the training part."""

import json
import re
import runpy
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "ticket_routing"
BUILD = runpy.run_path(str(FOLDER / "build.py"))
SPLITS: tuple[str, ...] = BUILD["SPLITS"]
QUEUES = {"billing", "shipping", "returns", "account", "technical", "sales"}
PRIORITIES = {"high", "normal", "low"}
MOST_SHARED_WORDS = 0.45
"""Jaccard overlap of two tickets' words above which they count as one ticket phrased twice."""

Message = dict[str, str]


def _rows(split: str) -> list[list[Message]]:
    lines = (FOLDER / f"{split}.jsonl").read_text().splitlines()
    return [json.loads(line)["messages"] for line in lines]


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z']+", text.lower()))


@pytest.mark.parametrize("split", SPLITS)
def test_the_file_is_built_from_the_tickets(split: str) -> None:
    assert (FOLDER / f"{split}.jsonl").read_text() == BUILD["jsonl"](split)


@pytest.mark.parametrize("split", SPLITS)
def test_every_row_is_a_prompt_and_a_label(split: str) -> None:
    for messages in _rows(split):
        assert [message["role"] for message in messages] == ["system", "user", "assistant"]
        assert messages[0]["content"] == BUILD["SYSTEM_PROMPT"]
        label = json.loads(messages[2]["content"])
        assert list(label) == ["queue", "priority"]
        assert label["queue"] in QUEUES
        assert label["priority"] in PRIORITIES


@pytest.mark.parametrize(("split", "each"), [("train", 14), ("valid", 1), ("heldout", 3)])
def test_labels_are_balanced(split: str, each: int) -> None:
    labels = Counter(messages[2]["content"] for messages in _rows(split))
    assert len(labels) == len(QUEUES) * len(PRIORITIES)
    assert set(labels.values()) == {each}


def test_no_ticket_is_there_twice() -> None:
    texts = [messages[1]["content"] for split in SPLITS for messages in _rows(split)]
    for one, other in combinations(texts, 2):
        first, second = _words(one), _words(other)
        shared = len(first & second) / len(first | second)
        assert shared < MOST_SHARED_WORDS, (one, other)
