"""Tokens as the pieces of text that they stand for."""

from collections.abc import Iterator, Sequence

from transformers import PreTrainedTokenizerBase

_UNFINISHED = "\ufffd"
_LONGEST_CHARACTER = 8
"""Tokens that one character may take, with room to spare: UTF-8 has four bytes at most."""


def pieces(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> Iterator[str]:
    """The text that each token adds to those before it.

    A byte-level token may end amid a character: it adds nothing, and the last one adds it all.
    What a token adds depends on its neighbour (some tokenisers drop the space of a first word), so
    each is decoded behind the last one that was whole.
    """
    before = start = 0
    for i in range(len(ids)):
        known = _decoded(tokenizer, ids[before:start])
        text = _decoded(tokenizer, ids[before : i + 1])
        if text.endswith(_UNFINISHED) and i + 1 - start < _LONGEST_CHARACTER and i + 1 < len(ids):
            yield ""
            continue
        yield text[len(known) :]
        before, start = start, i + 1


def _decoded(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    text = tokenizer.decode([*ids], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return str(text)
