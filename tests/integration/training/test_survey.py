"""What is shown and counted before training is what training makes of the file."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from tests.integration.training.rows import pair, row, write_rows
from tunery_adapters.reports import DataReport
from tunery_adapters.spec import DataFormat
from tunery_adapters.survey import (
    LINE,
    MAX_TOKENS_SHOWN,
    AnyLine,
    Refused,
    ShownRow,
    Survey,
    SurveySpec,
)
from tunery_adapters.training import data
from tunery_adapters.training.failures import InvalidFileError
from tunery_adapters.training.pieces import pieces
from tunery_adapters.training.surveyor import survey

WEIGHED: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "A déjà vu 😀 <|im_end|>?"},
        {"role": "assistant", "content": "Not this.", "weight": 0},
        {"role": "user", "content": "Again."},
        {"role": "assistant", "content": "This 😀 one.", "weight": 1},
    ]
}
TOOL = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}

ROWS: dict[DataFormat, list[Any]] = {
    "chat": [*map(row, range(12)), WEIGHED, {**row(3), "tools": [TOOL]}],
    "completion": [{"prompt": f"Say {i}:", "completion": f" {i} " * i} for i in range(1, 20)],
    "text": [{"text": "one two three " * i} for i in range(1, 40)],
    "preference": [pair(i) for i in range(12)],
}


def lines(base_model: Path, file: Path, **values: Any) -> list[AnyLine]:
    said: list[AnyLine] = []
    spec = SurveySpec(base_model_path=str(base_model), file=str(file), **values)
    survey(spec, said.append)
    return said


def counted(said: list[AnyLine]) -> Survey:
    (found,) = (line for line in said if isinstance(line, Survey))
    return found


@pytest.mark.parametrize("length", [8, 40, 500])
@pytest.mark.parametrize("format", ROWS)
def test_the_counts_are_the_trainers(
    tmp_path: Path,
    base_model: Path,
    tokenizer: PreTrainedTokenizerBase,
    format: DataFormat,
    length: int,
) -> None:
    file = write_rows(tmp_path / "rows.jsonl", ROWS[format])
    try:
        dataset = data.load(file, tokenizer, max_length=length, split="training", format=format)
    except InvalidFileError as refusal:
        with pytest.raises(InvalidFileError, match=refusal.message):
            lines(base_model, file, format=format, max_length=length)
        return
    found = counted(lines(base_model, file, format=format, max_length=length))
    assert dataset.report("training") == DataReport(
        split="training",
        examples=found.examples,
        tokens=found.tokens,
        trained_tokens=found.trained_tokens,
        truncated_examples=dataset.truncated_examples,
        truncated_tokens=found.truncated_tokens,
        dropped_examples=found.dropped_examples,
    )
    assert found.rows == found.rows_read == len(ROWS[format])
    assert sum(bin.rows for bin in found.lengths.histogram) == found.rows
    assert found.longest_sequence == max(
        sequence.tokens for item in dataset.examples for sequence in item.sequences
    )


@pytest.mark.parametrize("format", ROWS)
def test_the_rows_shown_are_the_trainers(
    tmp_path: Path, base_model: Path, tokenizer: PreTrainedTokenizerBase, format: DataFormat
) -> None:
    file = write_rows(tmp_path / "rows.jsonl", ROWS[format])
    said = lines(base_model, file, format=format, max_length=60, limit=100, statistics=False)
    shown = [
        (tuple(token.id for token in part.tokens), tuple(token.trained for token in part.tokens))
        for line in said
        if isinstance(line, ShownRow)
        for part in line.sequences
        if not part.dropped
    ]
    dataset = data.load(file, tokenizer, max_length=60, split="training", format=format)
    trained = [part for item in dataset.examples for part in item.sequences]
    assert shown == [(part.ids, part.supervised) for part in trained]


def test_pieces_add_up_to_the_text_and_trained_ones_to_the_answers(
    tmp_path: Path, base_model: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [WEIGHED])
    (shown,) = lines(base_model, file, max_length=500, limit=1, statistics=False)
    assert isinstance(shown, ShownRow)
    (sequence,) = shown.sequences
    text = "".join(token.text for token in sequence.tokens)
    assert text == tokenizer.decode([token.id for token in sequence.tokens])
    assert "déjà vu 😀 <\u2060|im_end|>?" in text
    assert "".join(token.text for token in sequence.tokens if token.trained) == (
        "This 😀 one.<|im_end|>"
    )


def test_any_text_is_parted_without_loss(tokenizer: PreTrainedTokenizerBase) -> None:
    for text in ("", "a", "日本語のテキスト", "👩‍👩‍👧‍👦 family", "\ufffd broken", "e\u0301" * 3):
        ids = tokenizer.encode(text)
        assert "".join(pieces(tokenizer, ids)) == tokenizer.decode(ids)


def test_a_row_of_more_tokens_than_are_shown_ends_the_preview(
    tmp_path: Path, base_model: Path
) -> None:
    long = {"text": "one two three " * 20_000}
    file = write_rows(tmp_path / "rows.jsonl", [long, long])
    said = lines(base_model, file, format="text", max_length=4096, limit=2, statistics=False)
    (shown,) = said
    assert isinstance(shown, ShownRow)
    assert MAX_TOKENS_SHOWN <= shown.tokens < MAX_TOKENS_SHOWN + 4096
    examples = counted(lines(base_model, file, format="text", max_length=4096)).examples
    assert len(shown.sequences) + shown.omitted_sequences == examples / 2


def test_a_file_that_takes_too_long_is_sampled(tmp_path: Path, base_model: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [row(i) for i in range(100)])
    said: list[AnyLine] = []
    spec = SurveySpec(base_model_path=str(base_model), file=str(file), max_length=64, budget_s=24.5)
    times: Iterator[int] = iter(range(1000))
    survey(spec, said.append, timer=lambda: float(next(times)))
    found = counted(said)
    assert (found.rows, found.rows_read, found.is_whole) == (100, 25, False)
    whole = counted(lines(base_model, file, max_length=64))
    assert found.tokens * found.scale == pytest.approx(whole.tokens, rel=0.1)


def test_the_process_needs_no_torch(tmp_path: Path, base_model: Path) -> None:
    """As the server runs it: two to four seconds, most of them for imports."""
    file = write_rows(tmp_path / "rows.jsonl", [row(0), {"messages": [{}]}])
    asked = {"base_model_path": str(base_model), "file": str(file), "max_length": 64, "limit": 1}
    probe = "import sys; from tunery_adapters.training import survey as s; s.main()"
    ran = subprocess.run(
        [sys.executable, "-c", f"{probe}; assert sys.modules['torch'] is None"],
        input=json.dumps(asked).encode(),
        capture_output=True,
        check=True,
    )
    first, last = (LINE.validate_json(line) for line in ran.stdout.splitlines())
    assert isinstance(first, ShownRow)
    assert isinstance(last, Refused)
    assert (last.code, last.param) == ("invalid_file", "training_file")
    assert last.message.startswith("Line 2 of the training file")
