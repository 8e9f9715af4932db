"""Counting what rows turn into, without a tokenizer."""

import pytest

from tunery_adapters.survey import Truncated
from tunery_adapters.training.examples import Example, Pair
from tunery_adapters.training.failures import InvalidFileError
from tunery_adapters.training.tally import Tally


def example(tokens: int, trained: int = 2) -> Example:
    """Its last tokens are learnt."""
    return Example(tuple(range(tokens)), (False,) * (tokens - trained) + (True,) * trained)


def test_rows_are_counted_before_and_after_cutting() -> None:
    tally = Tally(rows=3, max_length=10)
    tally.add(3, [example(13, trained=5)])
    tally.add(1, [example(4), example(6)])
    tally.add(2, [example(20)])
    found = tally.survey("training")
    assert (found.rows, found.rows_read, found.is_whole) == (3, 3, True)
    assert (found.examples, found.dropped_examples) == (3, 1)
    assert (found.tokens, found.trained_tokens) == (20, 6)
    assert found.longest_sequence == 10
    assert (found.truncated_rows, found.truncated_tokens) == (2, 13)
    assert found.truncated == (Truncated(row=2, tokens=10), Truncated(row=3, tokens=3))
    lengths = found.lengths
    assert (lengths.min, lengths.median, lengths.p95, lengths.max) == (10, 13, 20, 20)
    assert lengths.mean == pytest.approx(43 / 3)
    assert {span.up_to: span.rows for span in lengths.histogram if span.rows} == {
        10: 1,
        14: 1,
        20: 1,
    }


def test_a_pair_counts_both_of_its_sequences() -> None:
    tally = Tally(rows=4, max_length=10)
    tally.add(1, [Pair(example(5), example(7))])
    found = tally.survey("training")
    assert (found.examples, found.tokens, found.longest_sequence) == (1, 12, 7)
    assert (found.is_whole, found.scale) == (False, 4)


def test_lengths_of_one_token_and_of_none_have_a_bin() -> None:
    tally = Tally(rows=2, max_length=10)
    tally.add(1, [example(2)])
    tally.add(2, [example(0, trained=0)])
    assert [(span.up_to, span.rows) for span in tally.survey("training").lengths.histogram] == [
        (1, 1),
        (2, 1),
    ]


def test_only_the_first_rows_that_are_cut_are_named() -> None:
    tally = Tally(rows=30, max_length=10)
    for row in range(30, 0, -1):
        tally.add(row, [example(12, trained=8)])
    found = tally.survey("training")
    assert found.truncated_rows == 30
    assert [cut.row for cut in found.truncated] == list(range(1, 21))


def test_a_file_that_teaches_nothing_is_refused_as_by_the_trainer() -> None:
    tally = Tally(rows=1, max_length=10)
    tally.add(1, [example(20)])
    with pytest.raises(InvalidFileError, match="validation file has no token") as raised:
        tally.survey("validation")
    assert raised.value.param == "validation_file"
