"""The score of README.md: the share of answers that are exactly the right JSON object."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
TRAIN, VALID, HELDOUT = (HERE / f"{split}.jsonl" for split in ("train", "valid", "heldout"))


class Question(NamedTuple):
    """One held-out ticket: the messages to send and the answer that is right."""

    messages: list[Any]
    expected: str

    @property
    def ticket(self) -> str:
        """The ticket's text."""
        return str(self.messages[-1]["content"])


def questions(path: Path = HELDOUT) -> Iterator[Question]:
    """Yield the rows of a file with their answers split off."""
    for line in path.read_text().splitlines():
        *asked, answer = json.loads(line)["messages"]
        yield Question(asked, answer["content"])


def is_right(answer: str, expected: str) -> bool:
    """Whether both are the same JSON object; text that is not JSON is wrong."""
    label = _parse(answer)
    return isinstance(label, dict) and label == _parse(expected)


def accuracy(answers: Sequence[str], asked: Sequence[Question]) -> float:
    """Share of right answers, 0 to 1."""
    pairs = zip(answers, asked, strict=True)
    return sum(is_right(answer, question.expected) for answer, question in pairs) / len(asked)


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
