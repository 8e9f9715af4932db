"""Which format a training file has, what each asks of a row, and no two of them in one file."""

import itertools
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from tunery_adapters.spec import DataFormat
from tunery_server.errors import InvalidRequest
from tunery_server.files.dataset import read_dataset
from tunery_server.files.row_formats import ROWS, format_of

SECRET = "hunter2"
USER = {"role": "user", "content": SECRET}
YES = {"role": "assistant", "content": f"{SECRET}: yes"}
NO = {"role": "assistant", "content": f"{SECRET}: no"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}

PAIR: dict[str, Any] = {
    "input": {"messages": [USER]},
    "preferred_output": [YES],
    "non_preferred_output": [NO],
}
EXAMPLES: dict[DataFormat, dict[str, Any]] = {
    "chat": {"messages": [USER, YES]},
    "completion": {"prompt": SECRET, "completion": SECRET},
    "text": {"text": SECRET},
    "preference": PAIR,
}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return tmp_path / "train.jsonl"


def write(dataset: Path, *rows: dict[str, Any]) -> None:
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows))


def refusal(dataset: Path, *rows: dict[str, Any]) -> str:
    write(dataset, *rows)
    with pytest.raises(InvalidRequest) as raised:
        read_dataset(dataset)
    assert (raised.value.code, raised.value.param) == ("invalid_file", "file")
    assert SECRET not in raised.value.message
    return raised.value.message


def test_there_is_an_example_of_every_format() -> None:
    assert EXAMPLES.keys() == ROWS.keys() == set(get_args(DataFormat))


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_file_is_of_the_format_of_its_rows(dataset: Path, name: DataFormat) -> None:
    write(dataset, *[EXAMPLES[name]] * 3)
    found = read_dataset(dataset)
    assert (found.format, found.examples) == (name, 3)


@pytest.mark.parametrize(
    "row",
    [
        {**PAIR, "input": {"messages": [USER], "tools": [TOOL], "parallel_tool_calls": True}},
        {**PAIR, "input": {"messages": [{"role": "system", "content": "s"}, USER, YES, USER]}},
        {**PAIR, "non_preferred_output": [{"role": "assistant", "tool_calls": [CALL]}]},
        {**PAIR, "preferred_output": [{**YES, "weight": 1}]},
    ],
    ids=["tools", "turns", "call", "weight"],
)
def test_a_pair_may_be_more_than_two_texts(dataset: Path, row: dict[str, Any]) -> None:
    write(dataset, row)
    found = read_dataset(dataset)
    assert (found.format, found.examples) == ("preference", 1)


WITHOUT_OUTPUT = {key: value for key, value in PAIR.items() if key != "non_preferred_output"}

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "completion-missing": ({"prompt": SECRET}, "completion: Field required"),
    "completion-null": ({"prompt": SECRET, "completion": None}, "completion: "),
    "completion-empty": ({"prompt": SECRET, "completion": ""}, "completion: String should have"),
    "prompt-empty": ({"prompt": "", "completion": SECRET}, "prompt: String should have"),
    "prompt-list": ({"prompt": [SECRET], "completion": SECRET}, "prompt: "),
    "completion-extra": ({**EXAMPLES["completion"], "weight": 1}, "weight: Extra inputs"),
    "text-number": ({"text": 5}, "text: "),
    "text-empty": ({"text": ""}, "text: String should have"),
    "text-extra": ({"text": SECRET, "url": SECRET}, "url: Extra inputs"),
    "pair-half": (WITHOUT_OUTPUT, "non_preferred_output: Field required"),
    "pair-none": ({**PAIR, "preferred_output": []}, "preferred_output: "),
    "pair-two": ({**PAIR, "preferred_output": [YES, YES]}, "preferred_output: "),
    "pair-user": ({**PAIR, "preferred_output": [USER]}, "preferred_output.0.role: "),
    "pair-text": ({**PAIR, "preferred_output": SECRET}, "preferred_output: "),
    "pair-weight-0": ({**PAIR, "preferred_output": [{**YES, "weight": 0}]}, "each output needs"),
    "pair-silent": (
        {**PAIR, "non_preferred_output": [{"role": "assistant", "content": ""}]},
        "each output needs content or tool calls",
    ),
    "pair-same": ({**PAIR, "non_preferred_output": [YES]}, "the two outputs are the same"),
    "pair-no-prompt": ({**PAIR, "input": {"messages": []}}, "input.messages: "),
    "pair-input-extra": (
        {**PAIR, "input": {"messages": [USER], "model": SECRET}},
        "input.model: Extra inputs",
    ),
    "pair-systems": (
        {**PAIR, "input": {"messages": [{"role": "system", "content": "s"}] * 2}},
        "input: more than one system message",
    ),
}


@pytest.mark.parametrize(("row", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_row_is_told_by_its_field(dataset: Path, row: dict[str, Any], reason: str) -> None:
    assert f"line 1: {reason}" in refusal(dataset, row)


@pytest.mark.parametrize(("first", "other"), list(itertools.permutations(EXAMPLES, 2)))
def test_a_file_of_two_formats_is_refused_naming_the_line_and_both(
    dataset: Path, first: DataFormat, other: DataFormat
) -> None:
    told = refusal(dataset, EXAMPLES[first], EXAMPLES[first], EXAMPLES[other])
    expected = f"line 3: of the format '{other}', while line 1 is of the format '{first}'"
    assert expected in told


@pytest.mark.parametrize("row", [{}, {"tools": []}, {"question": "?", "answer": "!"}])
def test_a_row_of_no_format_is_told_what_there_is(dataset: Path, row: dict[str, Any]) -> None:
    told = refusal(dataset, row)
    assert "line 1: none of the keys of a known format" in told
    for keys in ("messages (chat)", "prompt, completion (completion)", "text (text)"):
        assert keys in told


def test_a_row_of_no_format_does_not_set_that_of_the_file(dataset: Path) -> None:
    told = refusal(dataset, {"question": "?"}, EXAMPLES["text"], EXAMPLES["chat"])
    assert "line 1: none of the keys" in told
    assert "; line 3: of the format 'chat', while line 2 is of the format 'text'" in told


def test_a_row_with_keys_of_two_formats_is_of_neither(dataset: Path) -> None:
    """It is read as the one that tells more, and there the other's key is one too many."""
    both = {**EXAMPLES["chat"], **EXAMPLES["text"]}
    assert format_of(both) == "chat"
    assert "line 1: text: Extra inputs" in refusal(dataset, both)
