"""``tunery batches`` in this process, against a server on loopback."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tunery.cli._app import app

from .conftest import StoppedClock
from .scripted_server import ScriptedServer, answer, refusal

BATCH = ("GET", "/v1/batches/batch_1")

pytestmark = pytest.mark.usefixtures("reachable")


def batch(status: str, done: int = 0, failed: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "id": "batch_1",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "created_at": 1,
        "input_file_id": "file-1",
        "status": status,
        "request_counts": {"total": 4, "completed": done, "failed": failed},
        **fields,
    }


COMPLETED = batch("completed", 3, 1, output_file_id="file-2", error_file_id="file-3")


def tunery(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def test_a_file_is_uploaded_and_run(reachable: ScriptedServer, train_file: Path) -> None:
    reachable.replies["POST", "/v1/batches"] = answer(batch("validating"))
    assert tunery("batches", "create", str(train_file)).stdout == "batch_1\n"
    [upload] = reachable.asked("POST", "/v1/files")
    assert b'name="purpose"\r\n\r\nbatch\r\n' in upload.body
    [created] = reachable.asked("POST", "/v1/batches")
    assert created.json == {
        "input_file_id": "file-1",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }


def test_options_of_a_batch(reachable: ScriptedServer) -> None:
    reachable.replies["POST", "/v1/batches"] = answer(batch("validating"))
    options = ("--endpoint", "/v1/completions", "--expires-after", "3600", "--json")
    result = tunery("batches", "create", "file-7", *options)
    assert json.loads(result.stdout) == batch("validating")
    assert reachable.asked("POST", "/v1/files") == []
    body = reachable.asked("POST", "/v1/batches")[0].json
    assert (body["input_file_id"], body["endpoint"]) == ("file-7", "/v1/completions")
    assert body["output_expires_after"] == {"anchor": "created_at", "seconds": 3600}


def test_one_batch_and_all_batches(reachable: ScriptedServer) -> None:
    reachable.replies[BATCH] = answer(COMPLETED)
    listed = {"object": "list", "data": [COMPLETED], "has_more": False}
    reachable.replies["GET", "/v1/batches"] = answer(listed)
    reachable.replies["POST", "/v1/batches/batch_1/cancel"] = answer(batch("cancelling"))
    assert "lines\t4/4, 1 failed\n" in tunery("batches", "get", "batch_1").stdout
    assert tunery("batches", "list").stdout == "batch_1\tcompleted\t4/4, 1 failed\tfile-2\n"
    assert json.loads(tunery("batches", "list", "--json").stdout)["data"] == [COMPLETED]
    assert tunery("batches", "cancel", "batch_1").stdout == "batch_1 cancelling\n"


def test_watching_ends_with_the_batch(reachable: ScriptedServer, clock: StoppedClock) -> None:
    reachable.replies["POST", "/v1/batches"] = answer(batch("validating"))
    looks = (batch("validating"), batch("in_progress", 2), COMPLETED)
    reachable.replies[BATCH] = [answer(look) for look in looks]
    result = tunery("batches", "create", "file-1", "--watch")
    assert result.exit_code == 0
    assert "output file\tfile-2\n" in result.stdout
    assert clock.now == 2


def test_watching_outlives_a_server_that_restarts(
    reachable: ScriptedServer, clock: StoppedClock
) -> None:
    away = refusal(503, "starting", **{"x-should-retry": "false"})
    reachable.replies[BATCH] = [*[away] * 100, answer(COMPLETED)]
    assert tunery("batches", "watch", "batch_1").exit_code == 0
    reachable.replies[BATCH] = away
    result = tunery("batches", "watch", "batch_1")
    assert (result.exit_code, "starting" in result.stderr) == (1, True)


@pytest.mark.usefixtures("clock")
def test_a_batch_that_failed_says_why(reachable: ScriptedServer) -> None:
    fault = {"code": "invalid_json_line", "message": "Not JSON.", "param": None, "line": 7}
    failed = batch("failed", errors={"object": "list", "data": [fault]})
    reachable.replies[BATCH] = answer(failed)
    result = tunery("batches", "watch", "batch_1")
    assert result.exit_code == 1
    assert "line 7\tinvalid_json_line: Not JSON.\n" in result.stdout
