"""A file of JSONL into a dataset."""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from tunery_adapters.spec import TEMPLATED, DataFormat
from tunery_adapters.special_tokens import SpecialTokens
from tunery_adapters.training.chat import special_tokens
from tunery_adapters.training.examples import Dataset, Item, Split, truncate
from tunery_adapters.training.failures import InvalidFileError
from tunery_adapters.training.rows import READERS


def load(
    file: Path,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    split: Split,
    format: DataFormat = "chat",
) -> Dataset:
    """Read a JSONL file of rows of one format.

    Raises InvalidFileError with the line number of a row that cannot be rendered, or when no
    token of the whole file is under the loss.
    """
    rows = RowReader(tokenizer, max_length, split, format)
    dataset = truncate(list(chain.from_iterable(rows.read(file))), max_length)
    if not dataset.examples:
        raise InvalidFileError(f"The {split} file has no token to train on.", f"{split}_file")
    return dataset


class RowReader:
    """Reads the rows of one file."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, max_length: int, split: Split, format: DataFormat
    ) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._split = split
        self._format = format
        # Raw text is its own template: what it spells is meant.
        self._special = special_tokens(tokenizer) if format in TEMPLATED else SpecialTokens(())

    def read(self, file: Path) -> Iterator[list[Item]]:
        """The examples of each line that is not blank."""
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield self.row(line, number)

    def row(self, line: bytes, number: int) -> list[Item]:
        """The examples of one line. Raises InvalidFileError with its number."""
        try:
            row = self._special.as_text(json.loads(line))
            return list(READERS[self._format](row, self._tokenizer, self._max_length))
        except Exception as error:  # templates raise what they like at roles they do not know
            raise InvalidFileError(
                f"Line {number} of the {self._split} file cannot be read as {self._format} data "
                f"({_brief(error)}).",
                f"{self._split}_file",
            ) from error


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
