"""Rows of JSONL into token ids and the positions under the loss.

Only assistant turns of weight 1 are trained on, each from the first token that the model itself
would generate to the one that ends its turn.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeAlias

from transformers import PreTrainedTokenizerBase

from tunery_adapters.reports import DataReport
from tunery_adapters.special_tokens import SpecialTokens
from tunery_adapters.training.chat import (
    Message,
    Tools,
    encode,
    prompt_ids,
    render,
    special_tokens,
)
from tunery_adapters.training.failures import InvalidFileError

Split: TypeAlias = Literal["training", "validation"]


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence. ``supervised[i]`` says whether predicting ``ids[i]`` is under the loss."""

    ids: tuple[int, ...]
    supervised: tuple[bool, ...]

    @property
    def trained_tokens(self) -> int:
        """Tokens under the loss."""
        return sum(self.supervised)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The examples of one file, and what was cut away to make them fit."""

    examples: tuple[Example, ...]
    truncated_examples: int
    truncated_tokens: int
    dropped_examples: int

    @property
    def trained_tokens(self) -> int:
        """Tokens under the loss in one pass over the examples."""
        return sum(example.trained_tokens for example in self.examples)

    def report(self, split: Split) -> DataReport:
        """Say what the file turned into."""
        return DataReport(
            split=split,
            examples=len(self.examples),
            tokens=sum(len(example.ids) for example in self.examples),
            trained_tokens=self.trained_tokens,
            truncated_examples=self.truncated_examples,
            truncated_tokens=self.truncated_tokens,
            dropped_examples=self.dropped_examples,
        )


def load(
    file: Path, tokenizer: PreTrainedTokenizerBase, *, max_length: int, split: Split
) -> Dataset:
    """Read a JSONL file of chat rows.

    Raises InvalidFileError with the line number of a row that cannot be rendered, or when no
    token of the whole file is under the loss.
    """
    dataset = truncate(list(chain.from_iterable(_rows(file, tokenizer, split))), max_length)
    if not dataset.examples:
        raise InvalidFileError(f"The {split} file has no token to train on.", f"{split}_file")
    return dataset


def truncate(examples: Sequence[Example], max_length: int) -> Dataset:
    """Cut examples to ``max_length`` tokens from the end; drop those left without supervision."""
    cut = [Example(e.ids[:max_length], e.supervised[:max_length]) for e in examples]
    kept = tuple(example for example in cut if example.trained_tokens)
    excess = [len(e.ids) - max_length for e in examples if len(e.ids) > max_length]
    return Dataset(kept, len(excess), sum(excess), len(examples) - len(kept))


def examples_of(
    messages: Sequence[Message], tools: Tools, tokenizer: PreTrainedTokenizerBase
) -> list[Example]:
    """Turn one conversation into examples.

    All its supervised turns share one example as long as each prompt begins with the tokens so
    far. A template that rewrites earlier turns (dropping old reasoning, say) breaks that; a turn
    after such a break begins an example of its own.
    """
    examples: list[Example] = []
    ids: list[int] = []
    supervised: list[bool] = []
    for turn in (i for i, message in enumerate(messages) if _is_supervised(message)):
        prompt = prompt_ids(tokenizer, messages[:turn], tools)
        answer = encode(tokenizer, _answer(messages[: turn + 1], tools, tokenizer))
        if ids and prompt[: len(ids)] != ids:
            examples.append(Example(tuple(ids), tuple(supervised)))
            supervised = []
        supervised += [False] * (len(prompt) - len(supervised)) + [True] * len(answer)
        ids = prompt + answer
    return [*examples, Example(tuple(ids), tuple(supervised))]


def _is_supervised(message: Message) -> bool:
    return bool(message["role"] == "assistant" and message.get("weight", 1) != 0)


def _answer(messages: Sequence[Message], tools: Tools, tokenizer: PreTrainedTokenizerBase) -> str:
    """Return what the model writes as the last message: the end-of-turn token, and nothing after.

    Templates put white space between turns; the model never generates it.
    """
    prompt = render(tokenizer, messages[:-1], tools, add_generation_prompt=True)
    whole = render(tokenizer, messages, tools, add_generation_prompt=False)
    if not whole.startswith(prompt):
        raise ValueError("the chat template does not continue its own prompt")
    return whole[len(prompt) :].rstrip()


def _rows(file: Path, tokenizer: PreTrainedTokenizerBase, split: Split) -> Iterator[list[Example]]:
    special = special_tokens(tokenizer)
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _row(line, number, tokenizer, special, split)


def _row(
    line: bytes,
    number: int,
    tokenizer: PreTrainedTokenizerBase,
    special: SpecialTokens,
    split: Split,
) -> list[Example]:
    try:
        row: dict[str, Any] = special.as_text(json.loads(line))
        return examples_of(row["messages"], row.get("tools"), tokenizer)
    except Exception as error:  # templates raise what they like at roles they do not know
        why = f"Line {number} of the {split} file cannot be rendered as a chat ({_brief(error)})."
        raise InvalidFileError(why, f"{split}_file") from error


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
