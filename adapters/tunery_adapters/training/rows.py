"""Rows of a training file into examples, one function a format.

Only what the model itself would generate is trained on: assistant turns of weight 1, a completion,
either answer of a pair; each with the token that ends it. Of plain text it is everything.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from transformers import PreTrainedTokenizerBase

from tunery_adapters.spec import DataFormat
from tunery_adapters.training.chat import Message, Tools, encode, prompt_ids, render
from tunery_adapters.training.examples import Example, Item, Pair

Reader: TypeAlias = Callable[[Mapping[str, Any], PreTrainedTokenizerBase, int], Sequence[Item]]
"""Row, tokeniser and longest sequence in tokens."""


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


def pair_of(row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> Pair:
    """Turn a preference row into the two ways on from its prompt."""
    messages, tools = row["input"]["messages"], row["input"].get("tools")
    prompt = prompt_ids(tokenizer, messages, tools)

    def ending(output: Sequence[Message]) -> Example:
        answer = encode(tokenizer, _answer([*messages, *output], tools, tokenizer))
        return continued(prompt, answer)

    return Pair(ending(row["preferred_output"]), ending(row["non_preferred_output"]))


def completion_of(prompt: str, completion: str, tokenizer: PreTrainedTokenizerBase) -> Example:
    """Turn a raw prompt and what follows it into an example, without any template.

    The prompt's tokens are those that ``/v1/completions`` gives the model: with the special tokens
    that the tokeniser itself adds.
    """
    given = list(tokenizer.encode(prompt))
    whole = list(tokenizer.encode(prompt + completion))
    # Taken out of the whole where that begins with the prompt's tokens, for some tokenisers put a
    # space in front of any text; where tokens merge across the border, tokenised by itself.
    follows = whole[: len(given)] == given
    answer = whole[len(given) :] if follows else encode(tokenizer, completion)
    return continued(given, _ended(answer, tokenizer))


def windows_of(text: str, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[Example]:
    """Turn plain text into as many examples of at most ``max_length`` tokens as it takes.

    A window begins with the last token of the one before, so that every token but the text's
    first is predicted exactly once.
    """
    ids = _ended(list(tokenizer.encode(text)), tokenizer)
    starts = range(0, max(1, len(ids) - 1), max_length - 1)
    return [continued(ids[i : i + 1], ids[i + 1 : i + max_length]) for i in starts]


def continued(prompt: Sequence[int], answer: Sequence[int]) -> Example:
    """An example of which all that comes after the prompt is under the loss."""
    flags = [False] * len(prompt) + [True] * len(answer)
    return Example((*prompt, *answer), (False, *flags[1:]))


READERS: Mapping[DataFormat, Reader] = {
    "chat": lambda row, tokenizer, _: examples_of(row["messages"], row.get("tools"), tokenizer),
    "completion": lambda row, tokenizer, _: [
        completion_of(row["prompt"], row["completion"], tokenizer)
    ],
    "text": lambda row, tokenizer, length: windows_of(row["text"], tokenizer, length),
    "preference": lambda row, tokenizer, _: [pair_of(row, tokenizer)],
}


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


def _ended(ids: list[int], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """With the end-of-sequence token at the end, where a tokeniser has not put it already."""
    end = tokenizer.eos_token_id
    if end is None:
        raise ValueError("the base model has no end-of-sequence token")
    return ids if ids[-1:] == [end] else [*ids, end]
