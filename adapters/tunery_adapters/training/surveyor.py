"""Shows and counts the rows of a file, read and cut by the code that trains on them."""

import random
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import BinaryIO, TypeAlias

from transformers import PreTrainedTokenizerBase

from tunery_adapters.spec import TEMPLATED
from tunery_adapters.survey import AnyLine, ShownRow, ShownSequence, SurveySpec, Token
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
        for number in range(spec.offset, min(len(rows), spec.offset + spec.limit)):
            write(_shown(number + 1, rows[number], spec.max_length, tokenizer))
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


def _shown(
    row: int, items: Sequence[Item], max_length: int, tokenizer: PreTrainedTokenizerBase
) -> ShownRow:
    def sequences() -> Iterator[ShownSequence]:
        for item in items:
            dropped = not item.cut(max_length).teaches
            pair = isinstance(item, Pair)
            for role, whole in zip(
                ("chosen", "rejected") if pair else ("example",), item.sequences, strict=True
            ):
                yield ShownSequence(
                    role=role,
                    tokens=_tokens(whole.cut(max_length), tokenizer),
                    truncated_tokens=max(0, whole.tokens - max_length),
                    dropped=dropped,
                )

    return ShownRow(row=row, sequences=tuple(sequences()))


def _tokens(example: Example, tokenizer: PreTrainedTokenizerBase) -> tuple[Token, ...]:
    texts = pieces(tokenizer, example.ids)
    return tuple(map(Token, texts, example.ids, example.supervised))
