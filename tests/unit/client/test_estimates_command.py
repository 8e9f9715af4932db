"""``tunery jobs estimate`` and ``preview``, and the methods behind them."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from tunery import AsyncTunery, Tunery
from tunery._estimates import JobPreview
from tunery.cli._app import app
from tunery.cli._rows import print_rows

from .scripted_server import BASE, ScriptedServer, answer, file_object

ESTIMATE = ("POST", "/v1/fine_tuning/jobs/estimate")
PREVIEW = ("POST", "/v1/fine_tuning/jobs/preview")
CUT = {
    **{"max_length": 64, "rows": 2, "tokens": 9, "dropped_examples": 0},
    "first": [{"row": 3, "tokens": 4}, {"row": 8, "tokens": 5}],
}
FOUND: dict[str, Any] = {
    "object": "fine_tuning.job.estimate",
    "model": BASE,
    "hyperparameters": {"n_epochs": 3, "batch_size": 4, "learning_rate_multiplier": 1.0},
    "rows": 40,
    "rows_read": 40,
    "sampled": False,
    "examples": 40,
    "longest_sequence": 64,
    "tokens": {
        **{"epoch": 900, "trained_epoch": 300, "total": 2700, "trained_total": 900},
        "validation": None,
    },
    "steps": {"epoch": 10, "total": 30},
    "truncation": CUT,
    "memory": {
        **{"bytes": 3 * 2**29, "largest_machine_bytes": 2**31, "fits": True},
        **{"reason": None, "param": None},
    },
    "seconds": {"expected": 83.0, "low": 60.0, "high": 120.0, "basis": "measured", "jobs": 2},
    "adapter_bytes": 19 * 2**20,
}


def token(text: str, trained: bool = False) -> dict[str, Any]:
    return {"text": text, "id": 1, "trained": trained}


def sequence(role: str, *tokens: dict[str, Any], truncated: int = 0) -> dict[str, Any]:
    return {"role": role, "tokens": tokens, "truncated_tokens": truncated, "dropped": False}


SHOWN: dict[str, Any] = {
    "object": "fine_tuning.job.preview",
    "data": [
        {
            "row": 3,
            "omitted_sequences": 2,
            "sequences": [
                sequence("chosen", token("Say"), token(" hi", True), token("!", True)),
                sequence("rejected", token("Say"), token(" \x1b[2Jno", True), truncated=4),
            ],
        }
    ],
    "has_more": True,
    "statistics": {
        **{"rows": 40, "rows_read": 25, "sampled": True, "examples": 25},
        **{"tokens": 900, "trained_tokens": 300, "truncation": CUT},
        "lengths": {
            **{"min": 5, "mean": 22.5, "median": 20.0, "p95": 60, "max": 68},
            "histogram": [{"up_to": 34, "rows": 20}, {"up_to": 68, "rows": 5}],
        },
    },
}


@pytest.fixture
def scripted(reachable: ScriptedServer) -> ScriptedServer:
    reachable.replies["POST", "/v1/files"] = answer(file_object("train.jsonl"))
    reachable.replies[ESTIMATE] = answer(FOUND)
    reachable.replies[PREVIEW] = answer(SHOWN)
    return reachable


def tunery(*args: str) -> Result:
    return CliRunner().invoke(app, ["jobs", *args])


def test_an_estimate_takes_what_creating_takes(scripted: ScriptedServer, train_file: Path) -> None:
    ran = tunery("estimate", str(train_file), "--rank", "8", "--n-epochs", "3", "--method", "dpo")
    assert ran.exit_code == 0, ran.output
    asked = scripted.calls[-1].json
    assert asked["lora"] == {"rank": 8}
    assert asked["method"]["dpo"]["hyperparameters"]["n_epochs"] == 3
    assert (asked["model"], asked["training_file"]) == (BASE, "file-1")
    assert "extra_body" not in asked
    for line in (
        "tokens\t2700 (900 trained on)",
        "cut off\t9 tokens of 2 rows",
        "steps\t30 (10 an epoch)",
        "memory\t1.5 GiB at most of 2.0 GiB",
        "time\t1:23 (1:00 to 2:00, measured on 2 earlier jobs)",
        "adapter\t19.0 MiB",
    ):
        assert f"{line}\n" in ran.stdout


def test_an_estimate_is_one_document(scripted: ScriptedServer, train_file: Path) -> None:
    ran = tunery("estimate", str(train_file), "--json")
    assert json.loads(ran.stdout) == FOUND


def test_what_is_not_known_is_left_out_and_a_sample_is_said(
    scripted: ScriptedServer, train_file: Path
) -> None:
    memory = dict.fromkeys(FOUND["memory"])
    unknown = {"memory": memory, "seconds": None, "adapter_bytes": None, "sampled": True}
    scripted.replies[ESTIMATE] = answer({**FOUND, **unknown, "rows_read": 30})
    ran = tunery("estimate", str(train_file))
    assert ran.exit_code == 0
    assert "rows\t40 (estimated from 30 of them)\n" in ran.stdout
    assert "memory" not in ran.stdout
    assert "time" not in ran.stdout


def test_a_job_that_does_not_fit_is_said_and_fails(
    scripted: ScriptedServer, train_file: Path
) -> None:
    memory = {**FOUND["memory"], "fits": False, "reason": "Too much.", "param": "training_file"}
    scripted.replies[ESTIMATE] = answer({**FOUND, "memory": memory})
    ran = tunery("estimate", str(train_file))
    assert ran.exit_code == 1
    assert ran.stdout.endswith("Too much.\n")


def test_what_is_trained_on_stands_in_brackets_off_a_terminal(
    scripted: ScriptedServer, train_file: Path
) -> None:
    ran = tunery("preview", str(train_file), "--limit", "2", "--offset", "2")
    assert ran.exit_code == 0, ran.output
    asked = scripted.calls[-1].json
    assert (asked["limit"], asked["offset"]) == (2, 2)
    lines = ran.stdout.splitlines()
    assert lines[:5] == [
        "--- row 3, chosen: 3 tokens, 2 trained on",
        "Say[ hi!]",
        "--- row 3, rejected: 2 tokens, 1 trained on",
        "Say[ [2Jno]… 4 tokens cut off",
        "… 2 more sequences of row 3",
    ]
    assert "40 rows (of 25, drawn at random), 25 examples" in lines
    assert "2 rows are longer than 64 tokens and lose 9; 0 examples are dropped; rows 3, 8" in lines
    assert lines[-2:] == [f"      34 {'█' * 40} 20", f"      68 {'█' * 10} 5"]


def test_what_is_trained_on_has_a_colour_on_a_terminal() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system="standard")
    print_rows(JobPreview.model_validate(SHOWN).data, terminal)
    assert isinstance(terminal.file, io.StringIO)
    shown = terminal.file.getvalue()
    assert "\x1b[1;32m hi!\x1b[0m" in shown
    assert "\x1b[2J" not in shown


async def test_the_asynchronous_client_asks_the_same(
    scripted: ScriptedServer, train_file: Path
) -> None:
    found = Tunery().estimate(train_file, n_epochs=3)
    first = scripted.calls[-1].json
    async with AsyncTunery() as client:
        assert await client.estimate(train_file, n_epochs=3) == found
        assert scripted.calls[-1].json == first
        shown = await client.preview(train_file, limit=1)
    assert shown == Tunery().preview(train_file, limit=1)
    assert shown.data[0].sequences[0].tokens[1].text == " hi"
