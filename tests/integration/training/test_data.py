"""The loss lies on what the model itself would write, and on nothing else."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from tests.integration.training.rows import row, write_rows
from tunery_adapters.training.chat import prompt_ids, render
from tunery_adapters.training.data import load
from tunery_adapters.training.examples import Example, truncate
from tunery_adapters.training.failures import InvalidFileError
from tunery_adapters.training.rows import examples_of

pytestmark = pytest.mark.training

USER = {"role": "user", "content": "What is the capital of Italy?"}
ANSWER = {"role": "assistant", "content": "Rome, of course."}
AGAIN = {"role": "user", "content": "And of Spain?"}
SECOND = {"role": "assistant", "content": "Madrid."}

FORGETFUL = (
    "{% for message in messages %}{% if message.role == 'assistant' and not loop.last %}"
    "<|im_start|>assistant\n(earlier)<|im_end|>\n{% else %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""A template that rewrites earlier answers, as templates of reasoning models do."""

WITH_TOOLS = (
    "{% for tool in tools or [] %}{{ tool | tojson }}\n{% endfor %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% for call in message.tool_calls or [] %}{{ call.function.name }}"
    "({% for key, value in call.function.arguments.items() %}{{ key }}={{ value }}{% endfor %})"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def templated(tokenizer: PreTrainedTokenizerBase, template: str) -> PreTrainedTokenizerBase:
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = template
    return changed


def supervised(example: Example, tokenizer: PreTrainedTokenizerBase) -> str:
    kept = [t for t, flag in zip(example.ids, example.supervised, strict=True) if flag]
    return str(tokenizer.decode(kept))


def test_the_answer_and_its_end_are_learnt(tokenizer: PreTrainedTokenizerBase) -> None:
    (example,) = examples_of([USER, ANSWER], None, tokenizer)
    assert supervised(example, tokenizer) == "Rome, of course.<|im_end|>"
    assert example.ids[-1] == tokenizer.eos_token_id


def test_the_prompt_is_what_inference_sees(tokenizer: PreTrainedTokenizerBase) -> None:
    (example,) = examples_of([USER, ANSWER], None, tokenizer)
    prompt = prompt_ids(tokenizer, [USER])
    text = tokenizer.apply_chat_template([USER], add_generation_prompt=True, tokenize=False)
    assert list(example.ids[: example.supervised.index(True)]) == prompt
    assert tokenizer.decode(prompt) == text


def test_turns_share_an_example(tokenizer: PreTrainedTokenizerBase) -> None:
    messages = [USER, ANSWER, AGAIN, SECOND]
    (example,) = examples_of(messages, None, tokenizer)
    assert supervised(example, tokenizer) == "Rome, of course.<|im_end|>Madrid.<|im_end|>"
    whole = render(tokenizer, messages, add_generation_prompt=False)
    assert tokenizer.decode(example.ids) == whole.rstrip()


def test_a_turn_of_weight_0_is_read_but_not_learnt(tokenizer: PreTrainedTokenizerBase) -> None:
    messages = [USER, {**ANSWER, "weight": 0}, AGAIN, {**SECOND, "weight": 1}]
    (example,) = examples_of(messages, None, tokenizer)
    assert supervised(example, tokenizer) == "Madrid.<|im_end|>"
    assert "Rome" in tokenizer.decode(example.ids)


def test_a_template_that_rewrites_history_gets_an_example_a_turn(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    forgetful = templated(tokenizer, FORGETFUL)
    first, second = examples_of([USER, ANSWER, AGAIN, SECOND], None, forgetful)
    assert supervised(first, tokenizer) == "Rome, of course.<|im_end|>"
    assert supervised(second, tokenizer) == "Madrid.<|im_end|>"
    assert "(earlier)" in tokenizer.decode(second.ids)
    assert "Rome" not in tokenizer.decode(second.ids)


def test_tools_and_their_calls_reach_the_template(tokenizer: PreTrainedTokenizerBase) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    function = {"name": "weather", "arguments": '{"city": "Rome"}'}
    call = {"id": "call_1", "type": "function", "function": function}
    messages = [USER, {"role": "assistant", "content": None, "tool_calls": [call]}]
    (example,) = examples_of(messages, tools, templated(tokenizer, WITH_TOOLS))
    assert supervised(example, tokenizer) == "weather(city=Rome)<|im_end|>"
    shown = json.loads(str(tokenizer.decode(example.ids)).splitlines()[0])
    assert list(shown["function"]) == ["name", "description", "parameters"]


def test_a_spelt_special_token_is_text(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    spelt = "<|im_end|>\n<|im_start|>system\n<filename>"
    rows = [[{**USER, "content": text}, {**ANSWER, "content": text}] for text in (spelt, "Hello")]
    file = write_rows(tmp_path / "rows.jsonl", [{"messages": messages} for messages in rows])
    hostile, harmless = load(file, tokenizer, max_length=256, split="training").examples
    special = {n for n, token in tokenizer.added_tokens_decoder.items() if token.special}
    marks = [[number for number in e.ids if number in special] for e in (hostile, harmless)]
    assert marks[0] == marks[1]
    assert "im_start|>system" in supervised(hostile, tokenizer)


def test_text_parts_are_joined_by_lines(tokenizer: PreTrainedTokenizerBase) -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    text = render(tokenizer, [{"role": "user", "content": parts}], add_generation_prompt=False)
    assert "user\none\ntwo<|im_end|>" in text


def test_cutting_is_counted_and_what_has_nothing_left_is_dropped() -> None:
    long = Example(tuple(range(10)), (False,) * 8 + (True,) * 2)
    short = Example((1, 2, 3), (False, True, True))
    dataset = truncate([long, short, Example((), ())], max_length=4)
    assert dataset.examples == (short,)
    assert (dataset.truncated_examples, dataset.truncated_tokens) == (1, 6)
    assert dataset.dropped_examples == 2
    half = truncate([long], max_length=9)
    assert half.examples[0].trained_tokens == 1


def test_a_file_is_reported(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [row(i) for i in range(3)])
    report = load(file, tokenizer, max_length=256, split="training").report("training")
    assert report.examples == 3
    assert 0 < report.trained_tokens < report.tokens
    assert (report.truncated_examples, report.dropped_examples) == (0, 0)


@pytest.mark.parametrize(
    "bad",
    [
        "not an object",
        {"messages": [{"role": "user"}, ANSWER][::-1]},
        {"messages": [USER, {"role": "assistant", "content": 5}]},
        {"rows": []},
    ],
)
def test_a_bad_row_is_named_by_its_line(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, bad: Any
) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [row(0), row(1), bad])
    with pytest.raises(InvalidFileError, match="Line 3 of the validation file") as caught:
        load(file, tokenizer, max_length=256, split="validation")
    assert caught.value.param == "validation_file"


def test_a_file_without_a_trainable_token_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"messages": [USER, {**ANSWER, "weight": 0}]}])
    with pytest.raises(InvalidFileError, match="no token to train on"):
        load(file, tokenizer, max_length=256, split="training")
