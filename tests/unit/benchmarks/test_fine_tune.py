"""What the trainers are measured with is what it says."""

from statistics import median

from benchmarks.fine_tune import words


def lengths(rows: int, length: int | None = None) -> list[tuple[int, int]]:
    """Words of each prompt and of its completion."""
    told = [(row["prompt"].split(), row["completion"].split()) for row in words(rows, length)]
    return [(len(prompt), len(completion)) for prompt, completion in told]


def test_rows_are_as_long_as_said() -> None:
    totals = [prompt + completion + 1 for prompt, completion in lengths(2000)]
    assert 110 < median(totals) < 130
    assert min(totals) >= 8
    assert max(totals) == 512


def test_three_fifths_are_a_prompt() -> None:
    assert lengths(2, 100) == [(60, 39)] * 2
