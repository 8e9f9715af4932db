"""Counting what rows turn into."""

from array import array
from collections.abc import Sequence
from math import ceil
from statistics import fmean, median

from tunery_adapters.survey import BINS, MAX_TRUNCATED_SHOWN, Bin, Lengths, Survey, Truncated
from tunery_adapters.training.examples import Item, Split, truncate
from tunery_adapters.training.failures import InvalidFileError


class Tally:
    """Counts the rows that are added, of ``rows`` that the file has."""

    def __init__(self, rows: int, max_length: int) -> None:
        self._rows = rows
        self._max_length = max_length
        self._lengths = array("Q")
        self._truncated: list[Truncated] = []
        self._examples = self._tokens = self._trained = self._dropped = self._longest = 0

    def add(self, row: int, items: Sequence[Item]) -> None:
        """Count one row, by its number from 1."""
        dataset = truncate(items, self._max_length)
        self._lengths.append(sum(item.tokens for item in items))
        if dataset.truncated_tokens:
            self._truncated.append(Truncated(row=row, tokens=dataset.truncated_tokens))
        self._examples += len(dataset.examples)
        self._tokens += sum(item.tokens for item in dataset.examples)
        self._trained += dataset.trained_tokens
        self._dropped += dataset.dropped_examples
        for item in dataset.examples:
            self._longest = max(self._longest, *(part.tokens for part in item.sequences))

    def survey(self, split: Split) -> Survey:
        """What there was. Raises InvalidFileError, as training would, when nothing is learnt."""
        if not self._examples:
            raise InvalidFileError(f"The {split} file has no token to train on.", f"{split}_file")
        self._truncated.sort(key=lambda cut: cut.row)
        return Survey(
            rows=self._rows,
            rows_read=len(self._lengths),
            examples=self._examples,
            tokens=self._tokens,
            trained_tokens=self._trained,
            longest_sequence=self._longest,
            truncated_rows=len(self._truncated),
            truncated_tokens=sum(cut.tokens for cut in self._truncated),
            dropped_examples=self._dropped,
            truncated=tuple(self._truncated[:MAX_TRUNCATED_SHOWN]),
            lengths=_lengths(sorted(self._lengths)),
        )


def _lengths(ordered: Sequence[int]) -> Lengths:
    return Lengths(
        min=ordered[0],
        mean=fmean(ordered),
        median=median(ordered),
        p95=ordered[ceil(0.95 * len(ordered)) - 1],
        max=ordered[-1],
        histogram=_histogram(ordered),
    )


def _histogram(ordered: Sequence[int]) -> tuple[Bin, ...]:
    """Bins of equal width from nothing to the longest row."""
    width = max(1, ceil(ordered[-1] / BINS))
    counts = [0] * ceil(max(1, ordered[-1]) / width)
    for length in ordered:
        counts[max(0, ceil(length / width) - 1)] += 1
    return tuple(Bin(up_to=width * (i + 1), rows=count) for i, count in enumerate(counts))
