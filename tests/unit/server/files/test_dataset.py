"""Every fault of a training file is told by its line, and nothing of the tenant's data is."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from tunery_server.errors import InvalidRequest, UnsupportedMediaType
from tunery_server.files.dataset import MAX_LINE_BYTES, Contents, read_dataset

SECRET = "hunter2"


def row(**values: Any) -> bytes:
    messages = [
        {"role": "user", "content": SECRET},
        {"role": "assistant", "content": SECRET},
    ]
    return json.dumps({"messages": messages, **values}).encode()


def said(*messages: dict[str, Any]) -> bytes:
    return json.dumps({"messages": messages}).encode()


def nested(depth: int) -> dict[str, Any]:
    return {"a": nested(depth - 1)} if depth else {}


def called(arguments: str) -> bytes:
    function = {"name": "f", "arguments": arguments}
    call = {"id": "1", "type": "function", "function": function}
    return said(USER, {"role": "assistant", "tool_calls": [call]})


GOOD = row()
USER = {"role": "user", "content": SECRET}
ASSISTANT = {"role": "assistant", "content": SECRET}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return tmp_path / "train.jsonl"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD + b"\n",
        GOOD + b"\r\n",
        GOOD + b"\n\n \n\r\n",
        row(parallel_tool_calls=False, tools=None),
        row(tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}]),
        said(USER, {**ASSISTANT, "weight": 0}, {**ASSISTANT, "weight": 1}),
        said(USER, {"role": "assistant", "content": [{"type": "text", "text": SECRET}]}),
        said({"role": "system", "content": "s"}, {"role": "developer", "content": "d"}, ASSISTANT),
        GOOD[:-1] + b" " * (MAX_LINE_BYTES - len(GOOD)) + b"}\r\n",
    ],
    ids=[
        "plain",
        "LF",
        "CRLF",
        "blank-end",
        "nulls",
        "tools",
        "weights",
        "parts",
        "system",
        "longest",
    ],
)
def test_a_good_line_is_an_example(dataset: Path, text: bytes) -> None:
    dataset.write_bytes(text)
    longest = len(text.strip())
    assert read_dataset(dataset) == Contents("chat", 1, longest)


def test_a_tool_call_is_something_to_learn(dataset: Path) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    result = {"role": "tool", "content": "4", "tool_call_id": "1"}
    line = said(USER, {"role": "assistant", "tool_calls": [call]}, result)
    dataset.write_bytes(line)
    assert read_dataset(dataset) == Contents("chat", 1, longest_line=len(line.strip(b"\r\n")))


DEEP = b'{"messages": ' + b"[" * 2000 + b"]" * 2000 + b"}"

BAD = {
    "no-json": (SECRET.encode(), "not valid JSON"),
    "cut": (GOOD[:-1], "not valid JSON"),
    "two-objects": (GOOD + GOOD, "not valid JSON"),
    "array-start": (b"[", "not valid JSON"),
    "array": (b"[" + GOOD + b"]", "not a JSON object"),
    "string": (b'"hunter2"', "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "latin-1": ('{"messages": "é"}'.encode("latin-1"), "not valid JSON"),
    "utf-16": (GOOD.decode().encode("utf-16-le"), "not valid JSON"),
    "byte-order-mark": (b"\xef\xbb\xbf" + GOOD, "not valid JSON"),
    "raw-nul": (GOOD.replace(b"hunter2", b"a\0b"), "not valid JSON"),
    "surrogate": (GOOD.replace(b"hunter2", rb"\ud800"), "not valid JSON"),
    "duplicate-key": (b'{"messages": 1, ' + GOOD[1:], "an object has the same key twice"),
    "duplicate-key-inside": (
        said(USER, ASSISTANT).replace(b'"role": "user"', b'"role": "user", "role": "user"'),
        "an object has the same key twice",
    ),
    "duplicate-key-escaped": (
        GOOD.replace(b'"role": "user"', rb'"role": "user", "r\u006fle": "user"'),
        "an object has the same key twice",
    ),
    "duplicate-key-hidden": (
        GOOD.replace(b'"role": "user"', b'"role": "user", "role": "user"').replace(
            b"hunter2", rb"\u003a", 1
        ),
        "an object has the same key twice",
    ),
    "surrogate-key": (b'{"\\ud800": 1, ' + GOOD[1:], "not valid JSON"),
    "nan": (GOOD[:-1] + b', "x": NaN}', "not valid JSON"),
    "infinity": (GOOD[:-1] + b', "x": 1e999}', "not valid JSON"),
    "deep": (DEEP, "not valid JSON"),
    "too-long": (b" " * (MAX_LINE_BYTES + 1) + GOOD, "longer than"),
    "empty-object": (b"{}", "messages: Field required"),
    "extra-field": (row(prompt="x"), "prompt: Extra inputs"),
    "no-messages": (said(), "messages: List should have at least 1 item"),
    "messages-null": (b'{"messages": null}', "messages: "),
    "message-is-text": (b'{"messages": ["hunter2"]}', "messages.0: "),
    "deep-parameters": (
        row(tools=[{"type": "function", "function": {"name": "f", "parameters": nested(33)}}]),
        "tools.0.function.parameters: must not be nested",
    ),
    "many-brackets": (b'{"a": ' + b"[" * 200_000 + b"}", "holds more than"),
    "many-fields": (row(**{f"f{number}": 1 for number in range(20_000)}), "f0: Extra inputs"),
    "bad-arguments": (called("{"), "messages.1.assistant.tool_calls.0.function.arguments: is not"),
    "list-arguments": (called("[]"), "messages.1.assistant.tool_calls.0.function.arguments: must"),
    "deep-arguments": (
        called(json.dumps(nested(40))),
        "messages.1.assistant.tool_calls.0.function.arguments: must not be nested",
    ),
    "surrogate-arguments": (
        called('{"a": "\\ud800"}'),
        "messages.1.assistant.tool_calls.0.function.arguments: is not valid JSON",
    ),
    "no-parts": (said({"role": "user", "content": []}, ASSISTANT), "messages.0.user.content"),
    "two-systems": (
        said({"role": "system", "content": "a"}, {"role": "system", "content": "b"}, ASSISTANT),
        "more than one system message",
    ),
    "tool-without-name": (
        row(tools=[{"type": "function", "function": {}}]),
        "tools.0.function.name: Field required",
    ),
    "role-list": (said({"role": [SECRET], "content": "x"}), "messages.0: "),
    "weight-true": (said(USER, {**ASSISTANT, "weight": True}), "messages.1.assistant.weight"),
    "weight-float": (said(USER, {**ASSISTANT, "weight": 1.0}), "messages.1.assistant.weight"),
    "weight-text": (said(USER, {**ASSISTANT, "weight": "1"}), "messages.1.assistant.weight"),
    "no-role": (said({"content": SECRET}), "messages.0: "),
    "unknown-role": (said({"role": SECRET, "content": "x"}), "messages.0: role must be one of"),
    "no-content": (said({"role": "user"}, ASSISTANT), "messages.0.user.content: "),
    "content-null": (said({"role": "user", "content": None}, ASSISTANT), "messages.0.user"),
    "content-number": (said({"role": "user", "content": 5}, ASSISTANT), "messages.0.user"),
    "image": (
        said({"role": "user", "content": [{"type": "image_url", "text": SECRET}]}, ASSISTANT),
        "messages.0.user",
    ),
    "extra-in-message": (said({**USER, "mood": SECRET}, ASSISTANT), "messages.0.user.mood"),
    "no-assistant": (said(USER), "no assistant message"),
    "nothing-said": (said(USER, {"role": "assistant", "content": ""}), "no assistant message"),
    "all-weights-0": (said(USER, {**ASSISTANT, "weight": 0}), "no assistant message"),
    "weight-2": (said(USER, {**ASSISTANT, "weight": 2}), "messages.1.assistant.weight"),
    "weight-on-user": (said({**USER, "weight": 1}, ASSISTANT), "messages.0.user.weight"),
    "no-tool-calls": (said(USER, {**ASSISTANT, "tool_calls": []}), "messages.1.assistant.tool_c"),
    "tools-text": (row(tools=SECRET), "tools: "),
}


@pytest.mark.parametrize(("line", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_told_by_number_and_reason(dataset: Path, line: bytes, reason: str) -> None:
    dataset.write_bytes(b"\n".join([GOOD, line, GOOD]))
    message = refusal(dataset)
    assert f"line 2: {reason}" in message
    assert "line 3" not in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"PAR1", "Parquet"),
        (b"\xff\xfe{", "UTF-16"),
        (b"\xef\xbb\xbf" + GOOD, "byte order mark"),
        (b"prompt,completion\nhi,ho\n", "line 1: not valid JSON"),
        (b"import os\n", "line 1: not valid JSON"),
        (b"[\n" + GOOD + b"\n]", "line 1: not valid JSON"),
        (b"[" + GOOD + b"]", "line 1: not a JSON object"),
    ],
)
def test_another_format_is_told_that_it_should_be_jsonl(
    dataset: Path, start: bytes, told: str
) -> None:
    dataset.write_bytes(start)
    message = refusal(dataset)
    assert told in message
    assert "JSONL" in message


@pytest.mark.parametrize(
    "start", [b"\x1f\x8b\x08", b"PK\x03\x04", b"BZh9", b"\xfd7zXZ\0", b"(\xb5/\xfd"]
)
def test_a_compressed_file_is_another_media_type(dataset: Path, start: bytes) -> None:
    dataset.write_bytes(start + bytes(1000))
    with pytest.raises(UnsupportedMediaType, match="JSONL") as raised:
        read_dataset(dataset)
    assert raised.value.param == "file"


def test_a_huge_line_takes_no_memory(dataset: Path) -> None:
    with dataset.open("wb") as file:
        file.truncate(500 * 2**20)
    tracemalloc.start()
    message = refusal(dataset)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "line 1: longer" in message
    assert peak < 16 * 2**20


def test_reading_of_blank_lines_is_given_up(dataset: Path) -> None:
    dataset.write_bytes(GOOD + b"\n" * 1_000_000)
    assert "line 2: empty" in refusal(dataset)


def test_a_blank_line_in_the_middle_is_a_fault(dataset: Path) -> None:
    dataset.write_bytes(b"\n".join([GOOD, b"", b"  ", GOOD]))
    assert refusal(dataset).count("empty") == 2


@pytest.mark.parametrize("text", [b"", b"\n", b"\r\n \n"])
def test_a_file_without_lines_is_refused(dataset: Path, text: bytes) -> None:
    dataset.write_bytes(text)
    assert "no lines" in refusal(dataset)


def test_lines_after_a_huge_one_keep_their_numbers(dataset: Path) -> None:
    dataset.write_bytes(b"\n".join([GOOD, b"x" * (3 * MAX_LINE_BYTES + 17), GOOD, b"[]"]))
    message = refusal(dataset)
    assert "line 2: longer" in message
    assert "line 4: not a JSON object" in message
    assert "line 3" not in message


@pytest.mark.parametrize("over", [0, 1, 2, 3])
def test_a_line_at_the_edge_of_the_reading_size_is_one_line(dataset: Path, over: int) -> None:
    dataset.write_bytes(b"\n".join([b"x" * (MAX_LINE_BYTES + over), b"[]"]))
    assert "line 2: not a JSON object" in refusal(dataset)


def test_the_first_ten_faults_are_told(dataset: Path) -> None:
    dataset.write_bytes(b"[]\n" * 50)
    message = refusal(dataset)
    assert "line 10" in message
    assert "line 11" not in message


def test_a_bad_line_far_down_is_found(dataset: Path) -> None:
    dataset.write_bytes(b"\n".join([*[GOOD] * 7311, b"[]", *[GOOD] * 2688]))
    assert "line 7312:" in refusal(dataset)


def refusal(dataset: Path) -> str:
    with pytest.raises(InvalidRequest) as raised:
        read_dataset(dataset)
    assert (raised.value.code, raised.value.param) == ("invalid_file", "file")
    return raised.value.message
