"""Rows of a training file in a terminal: which tokens are learnt, and how long rows are."""

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from ._output import printable

if TYPE_CHECKING:
    from tunery._estimates import PreviewRow, PreviewSequence, Statistics

_TRAINED = "bold green"
_READ = "dim"
_CUT = "bold red"
_BAR = 40


def print_rows(rows: "Iterable[PreviewRow]", console: Console) -> None:
    """Each sequence under a heading. Colours on a terminal, ``[…]`` around what is learnt else."""
    for row in rows:
        for sequence in row.sequences:
            console.print(_heading(row.row, sequence))
            console.print(_body(sequence, marked=not console.is_terminal))
        if row.omitted_sequences:
            console.print(Text(f"… {row.omitted_sequences} more sequences of row {row.row}"))


def print_statistics(found: "Statistics", console: Console) -> None:
    """Counts of the file, and a bar for each span of lengths."""
    lengths, cut = found.lengths, found.truncation
    of = f" (of {found.rows_read}, drawn at random)" if found.sampled else ""
    console.print(Text(f"{found.rows} rows{of}, {found.examples} examples"))
    console.print(Text(f"{found.tokens} tokens, {found.trained_tokens} of them trained on"))
    console.print(
        Text(
            f"tokens a row: {lengths.min} to {lengths.max}, mean {lengths.mean:.1f}, "
            f"median {lengths.median:g}, 95 % up to {lengths.p95}"
        )
    )
    if cut.rows:
        first = ", ".join(str(row.row) for row in cut.first)
        console.print(
            Text(
                f"{cut.rows} rows are longer than {cut.max_length} tokens and lose {cut.tokens}; "
                f"{cut.dropped_examples} examples are dropped; rows {first}",
                style=_CUT,
            )
        )
    most = max((span.rows for span in lengths.histogram), default=1) or 1
    for span in lengths.histogram:
        bar = "█" * -(-_BAR * span.rows // most)
        console.print(Text(f"{span.up_to:>8} {bar} {span.rows}"))


def _heading(row: int, sequence: "PreviewSequence") -> Text:
    role = "" if sequence.role == "example" else f", {sequence.role}"
    trained = sum(token.trained for token in sequence.tokens)
    dropped = ", dropped: nothing to learn is left" if sequence.dropped else ""
    return Text(
        f"--- row {row}{role}: {len(sequence.tokens)} tokens, {trained} trained on{dropped}",
        style="bold",
    )


def _body(sequence: "PreviewSequence", *, marked: bool) -> Text:
    body = Text()
    for trained, tokens in groupby(sequence.tokens, key=lambda token: token.trained):
        text = printable("".join(token.text for token in tokens))
        body.append(f"[{text}]" if marked and trained else text, _TRAINED if trained else _READ)
    if sequence.truncated_tokens:
        body.append(f"… {sequence.truncated_tokens} tokens cut off", _CUT)
    return body
