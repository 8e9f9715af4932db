"""Shows and counts the rows of a file, read and cut by the code that trains on them."""

import random
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import BinaryIO, TypeAlias

from transformers import PreTrainedTokenizerBase

from tunery_adapters.spec import TEMPLATED
from tunery_adapters.survey import (
    MAX_TOKENS_SHOWN,
    AnyLine,
    Role,
    ShownRow,
    ShownSequence,
    SurveySpec,
    Token,
)
from tunery_adapters.training.data import RowReader
from tunery_adapters.training.examples import Example, Item, Pair
from tunery_adapters.training.pieces import pieces
from tunery_adapters.training.tally import Tally
from tunery_adapters.training.tokenizer import load_tokenizer

Write: TypeAlias = Callable[[AnyLine], None]


def survey(spec: SurveySpec, write: Write, timer: Callable[[], float] = monotonic) -> None:
    """Show the rows that are asked for, then count. Raises TrainingError."""
    tokenizer = load_tokenizer(spec.base_model_path, templated=spec.format in TEMPLATED)
    reader = RowReader(tokenizer, spec.max_length, spec.split, spec.format)
    with Path(spec.file).open("rb") as file:
        rows = _Rows(file, reader)
        for row in _shown(rows, spec, tokenizer):
            write(row)
        if spec.statistics:
            until = timer() + spec.budget_s
            write(_counted(rows, spec, lambda: timer() > until).survey(spec.split))


class _Rows:
    """The rows of an open file, in any order."""

    def __init__(self, file: BinaryIO, reader: RowReader) -> None:
        self._file = file
        self._reader = reader
        self._starts = array("Q", _starts(file))

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> list[Item]:
        self._file.seek(self._starts[number])
        return self._reader.row(self._file.readline(), number + 1)


def _starts(file: BinaryIO) -> Iterator[int]:
    start = 0
    for line in file:
        if line.strip():
            yield start
        start += len(line)


def _counted(rows: _Rows, spec: SurveySpec, is_late: Callable[[], bool]) -> Tally:
    """All rows, or as many as there is time for, in random order: those are a fair sample."""
    tally = Tally(len(rows), spec.max_length)
    order = list(range(len(rows)))
    random.Random(0).shuffle(order)  # noqa: S311 (a sample, no secret)
    for number in order:
        tally.add(number + 1, rows[number])
        if is_late():
            break
    return tally


def _shown(rows: _Rows, spec: SurveySpec, tokenizer: PreTrainedTokenizerBase) -> Iterator[ShownRow]:
    left = MAX_TOKENS_SHOWN
    for number in range(spec.offset, min(len(rows), spec.offset + spec.limit)):
        row = _row(number + 1, rows[number], spec.max_length, left, tokenizer)
        yield row
        left -= row.tokens
        if left <= 0 or row.omitted_sequences:
            break


def _row(
    number: int,
    items: Sequence[Item],
    max_length: int,
    most_tokens: int,
    tokenizer: PreTrainedTokenizerBase,
) -> ShownRow:
    """As many of the row's sequences as ``most_tokens`` lets begin."""
    parts = [part for item in items for part in _parts(item, max_length)]
    shown: list[ShownSequence] = []
    for role, whole, dropped in parts:
        if most_tokens <= 0:
            break
        kept = whole.cut(max_length)
        most_tokens -= kept.tokens
        shown.append(
            ShownSequence(
                role=role,
                tokens=_tokens(kept, tokenizer),
                truncated_tokens=whole.tokens - kept.tokens,
                dropped=dropped,
            )
        )
    return ShownRow(row=number, sequences=tuple(shown), omitted_sequences=len(parts) - len(shown))


def _parts(item: Item, max_length: int) -> Iterator[tuple[Role, Example, bool]]:
    """Each sequence, what it is, and whether the item is dropped."""
    roles: tuple[Role, ...] = ("chosen", "rejected") if isinstance(item, Pair) else ("example",)
    dropped = not item.cut(max_length).teaches
    for role, sequence in zip(roles, item.sequences, strict=True):
        yield role, sequence, dropped


def _tokens(example: Example, tokenizer: PreTrainedTokenizerBase) -> tuple[Token, ...]:
    texts = pieces(tokenizer, example.ids)
    return tuple(map(Token, texts, example.ids, example.supervised))
