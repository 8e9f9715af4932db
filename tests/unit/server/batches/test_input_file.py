"""What is wrong with an input file is said by line, and never with the tenant's own text."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunery_server.batches import input_file
from tunery_server.batches.input_file import Fault, check, lines
from tunery_server.files.jsonl import MAX_LINE_BYTES

CHAT = "/v1/chat/completions"


def row(custom_id: str = "a", **values: Any) -> dict[str, Any]:
    body = {"model": "base", "messages": [{"role": "user", "content": "hi"}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body, **values}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "input.jsonl"


def write(path: Path, *rows: dict[str, Any] | bytes) -> Path:
    texts = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"".join(text + b"\n" for text in texts))
    return path


def fault(path: Path, *rows: dict[str, Any] | bytes) -> tuple[str, str | None, int | None]:
    [found] = check(write(path, *rows), CHAT).faults
    assert "secret" not in found.message
    return found.code, found.param, found.line


def test_a_good_file_is_counted_and_read_in_order(path: Path) -> None:
    write(path, row("a"), row("b"), row("c"), b"", b"")
    checked = check(path, CHAT)
    assert (checked.lines, checked.model, checked.faults) == (3, "base", ())
    assert [line.custom_id for line in lines(path)] == ["a", "b", "c"]


def test_only_one_model_is_the_batchs_model(path: Path) -> None:
    other = row("b", body={"model": "ft:other"})
    assert check(write(path, row("a"), other), CHAT).model is None
    for model in (None, 7, "x\0y", "x" * 257):
        assert check(write(path, row("a", body={"model": model})), CHAT).model is None


def missing(name: str) -> dict[str, Any]:
    return {key: value for key, value in row("secret").items() if key != name}


@pytest.mark.parametrize(
    ("bad", "code", "param"),
    [
        (b"{]", "invalid_json_line", None),
        (b"\xff\xfe", "invalid_json_line", None),
        (b'{"custom_id": "\\ud800"}', "invalid_json_line", None),
        (b"[1]", "invalid_json_line", None),
        (b"", "invalid_json_line", None),
        (b"[" * 2000, "invalid_json_line", None),
        (b"[" + b"0,[]," * 2**17 + b"0]", "line_too_large", None),
        (b'"' + b"x" * MAX_LINE_BYTES + b'"', "line_too_large", None),
        (missing("custom_id"), "missing_required_parameter", "custom_id"),
        (missing("method"), "missing_required_parameter", "method"),
        (missing("url"), "missing_required_parameter", "url"),
        (missing("body"), "missing_required_parameter", "body"),
        (row(""), "invalid_custom_id", "custom_id"),
        (row("secret" * 100), "invalid_custom_id", "custom_id"),
        ({**row(), "custom_id": 5}, "invalid_custom_id", "custom_id"),
        (row("b", method="GET"), "invalid_method", "method"),
        (row("b", url="/v1/completions"), "invalid_url", "url"),
        (row("b", url="http://secret/v1/chat/completions"), "invalid_url", "url"),
        (row("b", body=["secret"]), "invalid_body", "body"),
        (row("b", secret="secret"), "unknown_parameter", None),
        (row("good"), "duplicate_custom_id", "custom_id"),
    ],
)
def test_a_bad_line_is_named(path: Path, bad: Any, code: str, param: str | None) -> None:
    assert fault(path, row("good"), bad, row("last")) == (code, param, 2)


def test_a_wrong_body_is_no_fault_of_the_file(path: Path) -> None:
    checked = check(write(path, row("a", body={"model": 3, "secret": 1})), CHAT)
    assert checked.faults == ()


def test_an_empty_file_has_nothing_to_run(path: Path) -> None:
    for rows in ((), (b"", b"  ")):
        assert fault(path, *rows) == ("empty_file", None, None)


def test_a_file_that_was_deleted_meanwhile(path: Path) -> None:
    assert [fault.code for fault in check(path, CHAT).faults] == ["file_not_found"]


def test_only_the_first_faults_are_kept(path: Path) -> None:
    found = check(write(path, *[b"{]"] * 1000), CHAT).faults
    assert [item.line for item in found] == list(range(1, input_file.MAX_ERRORS + 1))


def test_too_many_lines(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_file, "MAX_LINES", 3)
    write(path, *[row(str(number)) for number in range(4)])
    assert check(path, CHAT).faults == (Fault("too_many_lines", "More than 3 lines."),)
    write(path, *[row(str(number)) for number in range(3)])
    assert check(path, CHAT).faults == ()
