"""The command in this process, against a server on loopback."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tunery.cli._app import app

from .scripted_server import (
    BASE,
    TUNED,
    Reply,
    ScriptedServer,
    adapter,
    answer,
    chat_answer,
    chat_stream,
    event,
    file_object,
    job,
    refusal,
    step,
)

JOBS = "/v1/fine_tuning/jobs"
CHAT = ("POST", "/v1/chat/completions")

pytestmark = pytest.mark.usefixtures("reachable", "clock")


def tunery(*args: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, args, input=stdin)


def documents(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def page(*items: dict[str, Any]) -> Reply:
    return answer({"object": "list", "data": items, "has_more": False})


def test_lists_are_tab_separated_off_a_terminal() -> None:
    lines = tunery("models", "list").stdout.splitlines()
    assert lines == [f"{TUNED}\t{BASE}\ttunery\t-\t", f"{BASE}\tbase\ttunery\t-\t"]


@pytest.mark.parametrize("args", [("--json", "models", "list"), ("models", "list", "--json")])
def test_json_is_one_document_wherever_the_option_stands(args: tuple[str, ...]) -> None:
    [document] = documents(tunery(*args))
    assert [model["id"] for model in document["data"]] == [TUNED, BASE]
    assert document["data"][0]["parent"] == BASE


def test_options_beat_the_environment(server: ScriptedServer, monkeypatch: Any) -> None:
    monkeypatch.setenv("TUNERY_BASE_URL", "http://127.0.0.1:1/v1")
    result = tunery("models", "list", "--base-url", server.url, "--api-key", "sk-given")
    assert result.exit_code == 0
    assert server.calls[-1].headers["authorization"] == "Bearer sk-given"


def test_one_model(reachable: ScriptedServer) -> None:
    model = {"id": TUNED, "object": "model", "created": 1, "owned_by": "tunery", "parent": BASE}
    reachable.replies["GET", f"/v1/models/{TUNED}"] = answer(model)
    assert f"parent\t{BASE}\n" in tunery("models", "get", TUNED).stdout
    assert documents(tunery("models", "get", TUNED, "--json")) == [model]


def test_files(reachable: ScriptedServer, train_file: Path, tmp_path: Path) -> None:
    record = file_object("train.jsonl")
    reachable.replies["GET", "/v1/files"] = page(record)
    reachable.replies["GET", "/v1/files/file-1"] = answer(record)
    reachable.replies["GET", "/v1/files/file-1/content"] = Reply(200, b"\xffab\n")
    gone = {"id": "file-1", "object": "file", "deleted": True}
    reachable.replies["DELETE", "/v1/files/file-1"] = answer(gone)
    assert tunery("files", "upload", str(train_file)).stdout == "file-1\n"
    assert tunery("files", "list").stdout == "file-1\tfine-tune\t3\ttrain.jsonl\n"
    assert documents(tunery("files", "get", "file-1", "--json")) == [record]
    assert "purpose\tfine-tune\n" in tunery("files", "get", "file-1").stdout
    assert tunery("files", "content", "file-1").stdout_bytes == b"\xffab\n"
    target = tmp_path / "copy"
    assert tunery("files", "content", "file-1", "-o", str(target)).exit_code == 0
    assert target.read_bytes() == b"\xffab\n"
    assert tunery("files", "delete", "file-1").stdout == "deleted file-1\n"


def test_adapters(reachable: ScriptedServer) -> None:
    reachable.replies["GET", "/v1/adapters"] = page(adapter())
    reachable.replies["GET", f"/v1/adapters/{TUNED}"] = answer(adapter())
    gone = {"id": TUNED, "object": "adapter", "deleted": True}
    reachable.replies["DELETE", f"/v1/adapters/{TUNED}"] = answer(gone)
    assert tunery("adapters", "list").stdout == f"{TUNED}\tready\tloaded\t16\t1024\n"
    assert documents(tunery("adapters", "list", "--json"))[0]["data"] == [adapter()]
    assert "rank\t16\n" in tunery("adapters", "get", TUNED).stdout
    assert tunery("adapters", "delete", TUNED).stdout == f"deleted {TUNED}\n"


@pytest.mark.parametrize("verb", ["pin", "unpin"])
def test_pins(reachable: ScriptedServer, verb: str) -> None:
    changed = adapter() | {"pinned": verb == "pin"}
    reachable.replies["POST", f"/v1/adapters/{TUNED}/{verb}"] = answer(changed)
    assert tunery("adapters", verb, TUNED).stdout == f"{verb}ned {TUNED}\n"
    [shown] = documents(tunery("adapters", verb, TUNED, "--json"))
    assert shown["pinned"] is (verb == "pin")


def test_a_job_is_created_from_options(reachable: ScriptedServer, train_file: Path) -> None:
    result = tunery(
        "jobs", "create", str(train_file), "--n-epochs", "2", "--learning-rate-multiplier", "0.5",
        "--suffix", "s", "--seed", "3", "--rank", "8", "--target-modules", "q_proj, v_proj",
        "--qlora",
    )  # fmt: skip
    assert result.stdout == "ftjob-1\n"
    body = reachable.asked("POST", JOBS)[0].json
    assert body["method"]["supervised"]["hyperparameters"] == {
        "n_epochs": 2, "batch_size": "auto", "learning_rate_multiplier": 0.5,
    }  # fmt: skip
    assert body["lora"] == {
        "rank": 8, "target_modules": ["q_proj", "v_proj"], "quantization": "nf4",
    }  # fmt: skip
    assert (body["model"], body["suffix"], body["seed"]) == (BASE, "s", 3)


def test_a_job_on_pairs_goes_on_from_an_adapter_and_keeps_the_best(
    reachable: ScriptedServer, train_file: Path
) -> None:
    tunery(
        "jobs", "create", str(train_file), "--method", "dpo", "--beta", "0.2", "--from", TUNED,
        "--validation", "file-v", "--eval-every", "10", "--early-stopping", "2",
        "--min-delta", "0.01", "--keep", "best",
    )  # fmt: skip
    body = reachable.asked("POST", JOBS)[0].json
    assert (body["model"], body["validation_file"]) == (TUNED, "file-v")
    assert body["method"]["type"] == "dpo"
    assert body["method"]["dpo"]["hyperparameters"]["beta"] == 0.2
    assert body["training"] == {
        "eval_every": 10, "early_stopping": {"patience": 2, "min_delta": 0.01}, "keep": "best",
    }  # fmt: skip
    assert "lora" not in body


@pytest.mark.parametrize(
    "wrong",
    [("--method", "ppo"), ("--beta", "much"), ("--keep", "first"), ("--eval-every", "0")],
)
def test_a_wrong_way_to_train_is_a_usage_error(
    reachable: ScriptedServer, wrong: tuple[str, str]
) -> None:
    result = tunery("jobs", "create", "file-1", *wrong)
    assert result.exit_code == 2
    assert wrong[0] in result.stderr
    assert reachable.calls == []


def test_a_hyperparameter_that_is_no_number_is_a_usage_error(reachable: ScriptedServer) -> None:
    result = tunery("jobs", "create", "file-1", "--n-epochs", "many")
    assert result.exit_code == 2
    assert "--n-epochs" in result.stderr
    assert reachable.calls == []


def test_jobs_are_listed_shown_and_cancelled(reachable: ScriptedServer) -> None:
    reachable.replies["GET", JOBS] = page(job("running"), job("succeeded"))
    reachable.replies["POST", f"{JOBS}/ftjob-1/cancel"] = answer(job("cancelled"))
    assert tunery("jobs", "list", "--limit", "1").stdout == f"ftjob-1\trunning\t{BASE}\t-\n"
    assert f"fine-tuned model\t{TUNED}\n" in tunery("jobs", "get", "ftjob-1").stdout
    assert documents(tunery("jobs", "get", "ftjob-1", "--json")) == [job("succeeded")]
    assert tunery("jobs", "cancel", "ftjob-1").stdout == "ftjob-1 cancelled\n"


def test_a_job_is_paused_and_resumed(reachable: ScriptedServer) -> None:
    reachable.looks = [job("paused")]
    reachable.replies["POST", f"{JOBS}/ftjob-1/pause"] = answer(job("pausing"))
    reachable.replies["POST", f"{JOBS}/ftjob-1/resume"] = answer(job("queued"))
    assert tunery("jobs", "pause", "ftjob-1").stdout == "ftjob-1 pausing\n"
    assert "paused" in tunery("jobs", "get", "ftjob-1").stdout
    assert tunery("jobs", "resume", "ftjob-1").stdout == "ftjob-1 queued\n"
    resumed = tunery("--json", "jobs", "resume", "ftjob-1").stdout
    assert json.loads(resumed)["status"] == "queued"


def test_a_paused_job_is_watched_to_its_end(reachable: ScriptedServer) -> None:
    reachable.looks = [job("running"), job("pausing"), job("paused"), job("succeeded")]
    out = tunery("jobs", "watch", "ftjob-1").stdout
    assert [line for line in out.splitlines() if line.startswith("ftjob-1  ")] == [
        f"ftjob-1  {status}" for status in ("running", "pausing", "paused", "succeeded")
    ]


def test_events_and_checkpoints_of_a_job(reachable: ScriptedServer) -> None:
    reachable.events = [event(1, "a"), event(2, "b"), event(3, "tab\tand\nline")]
    reachable.shown = 3
    at_step = {
        "id": "ftckpt_1",
        "object": "fine_tuning.job.checkpoint",
        "created_at": 1,
        "fine_tuned_model_checkpoint": f"{TUNED}:ckpt-step-1",
        "fine_tuning_job_id": "ftjob-1",
        "step_number": 1,
        "metrics": {"train_loss": 1.5},
    }
    reachable.replies["GET", f"{JOBS}/ftjob-1/checkpoints"] = page(at_step)
    assert tunery("jobs", "events", "ftjob-1").stdout == (
        "3\tinfo\ttab and line\n2\tinfo\tb\n1\tinfo\ta\n"
    )
    shown = tunery("jobs", "checkpoints", "ftjob-1").stdout
    assert shown == f"1\t{TUNED}:ckpt-step-1\t1.5\t-\n"


def test_watching_prints_lines_off_a_terminal(reachable: ScriptedServer) -> None:
    reachable.events = [event(9, "Validated 200 rows"), step(1), step(2), event(5, "Published")]
    reachable.looks = [
        job("queued", queue_position=2, _events=0),
        job("running", _events=2),
        job("succeeded", _events=4),
    ]
    result = tunery("jobs", "watch", "ftjob-1")
    assert result.exit_code == 0
    lines = [line.partition("  ")[2] for line in result.stdout.splitlines()[:-2]]
    assert lines == [
        "queued (position 2)",
        "running",
        "Validated 200 rows",
        "step 1/2  loss 1.500  310 tokens/s  1:05 left",
        "succeeded",
        "step 2/2  loss 0.750  310 tokens/s  1:05 left",
        "Published",
    ]
    assert result.stdout.splitlines()[-2] == f"ftjob-1 succeeded: {TUNED}"


def test_an_evaluation_says_how_many_pairs_are_ranked_right(reachable: ScriptedServer) -> None:
    pairs = {"step": 2, "valid_loss": 0.5, "valid_accuracy": 0.75, "valid_reward_margin": 0.6}
    text = {"step": 2, "valid_loss": 0.5, "valid_mean_token_accuracy": 0.9}
    reachable.events = [event(1, "Step 2", pairs), event(2, "Step 2", text)]
    lines = tunery("jobs", "watch", "ftjob-1").stdout.splitlines()
    assert [line.partition("  ")[2] for line in lines if "validation" in line] == [
        "step 2  validation loss 0.500  75% right",
        "step 2  validation loss 0.500",
    ]


def test_watching_as_json_is_a_line_an_event_then_the_job(reachable: ScriptedServer) -> None:
    reachable.events = [event(1, "a"), step(2)]
    reachable.looks = [job("running", _events=1), job("succeeded")]
    lines = documents(tunery("jobs", "create", "file-1", "--watch", "--json"))
    assert lines == [*reachable.events, job("succeeded")]


@pytest.mark.parametrize(
    ("last", "line"),
    [
        (
            job("failed", error={"code": "bad", "message": "no token to train", "param": None}),
            "Error: fine-tuning job ftjob-1 failed (bad): no token to train\n",
        ),
        (job("cancelled"), "Error: fine-tuning job ftjob-1 was cancelled\n"),
    ],
)
def test_watching_a_job_without_a_model_ends_with_status_1(
    reachable: ScriptedServer, last: dict[str, Any], line: str
) -> None:
    reachable.looks = [last]
    result = tunery("jobs", "watch", "ftjob-1")
    assert (result.exit_code, result.stderr) == (1, line)


def test_chat_streams_one_answer(reachable: ScriptedServer) -> None:
    reachable.replies[CHAT] = chat_stream("Hel", "lo")
    result = tunery("chat", "Hi", "--system", "Be brief", "--temperature", "0")
    assert result.stdout == "Hello\n"
    assert reachable.asked(*CHAT)[0].json == {
        "model": BASE,
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": "Hi"},
        ],
        "stream": True,
        "temperature": 0.0,
    }


def test_chat_takes_what_is_piped_in(reachable: ScriptedServer) -> None:
    reachable.replies[CHAT] = chat_answer("Hello")
    assert tunery("chat", "-m", TUNED, "--no-stream", stdin="From a pipe\n").stdout == "Hello\n"
    body = reachable.asked(*CHAT)[0].json
    assert (body["model"], body["messages"][0]["content"]) == (TUNED, "From a pipe")


def test_chat_as_json_is_the_completion_or_its_chunks(reachable: ScriptedServer) -> None:
    reachable.replies[CHAT] = chat_answer("Hello")
    [completion] = documents(tunery("chat", "Hi", "--json"))
    assert completion["choices"][0]["message"]["content"] == "Hello"
    reachable.replies[CHAT] = chat_stream("Hel", "lo")
    chunks = documents(tunery("chat", "Hi", "--json", "--stream"))
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["Hel", "lo"]


def test_chat_with_nothing_to_say_is_a_usage_error(reachable: ScriptedServer) -> None:
    assert tunery("chat", stdin=" \n").exit_code == 2
    assert reachable.calls == []


def test_control_characters_of_an_answer_do_not_reach_the_terminal(
    reachable: ScriptedServer,
) -> None:
    reachable.replies[CHAT] = chat_stream("a\x1b[2Jb\x9bc\n", "\td")
    assert tunery("chat", "Hi").stdout == "a[2Jbc\n\td\n"


def test_a_cut_answer_is_an_error(reachable: ScriptedServer) -> None:
    reachable.replies[CHAT] = chat_stream("Hel", end="")
    result = tunery("chat", "Hi")
    assert (result.exit_code, result.stdout) == (1, "Hel\n")
    assert result.stderr.startswith("Error: the stream ended early")


@pytest.mark.parametrize(
    ("reply", "parts"),
    [
        (refusal(401, "Wrong key."), ["Error: Wrong key. Give another key with TUNERY_API_KEY"]),
        (refusal(403, "Not yours"), ["Error: Not yours\n"]),
        (refusal(404, "No such model 'x'"), ["Error: No such model 'x'\n"]),
        (Reply(404, b"Not found"), ["answered 404", "/v1"]),
        (
            refusal(500, "Broken", **{"x-request-id": "req-9", "x-should-retry": "false"}),
            ["Error: Broken", "req-9"],
        ),
        (
            refusal(429, "Too many", **{"retry-after": "7", "x-should-retry": "false"}),
            ["Error: Too many. Try again in 7 s\n"],
        ),
    ],
)
def test_a_refusal_is_one_line_with_the_next_step(
    reachable: ScriptedServer, reply: Reply, parts: list[str]
) -> None:
    reachable.replies["GET", "/v1/models"] = reply
    result = tunery("models", "list")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert all(part in result.stderr for part in parts), result.stderr


def test_an_unreachable_server_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNERY_BASE_URL", "http://127.0.0.1:1/v1")
    result = tunery("models", "list")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: cannot reach http://127.0.0.1:1. Start a server")
    assert result.stderr.count("\n") == 1


def test_without_a_key_it_says_where_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNERY_API_KEY")
    result = tunery("models", "list")
    assert result.exit_code == 1
    assert "tunery serve" in result.stderr


def test_a_missing_file_is_one_line() -> None:
    result = tunery("jobs", "create", "nowhere.jsonl")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("Error: nowhere.jsonl: no such file")


def test_the_commands_own_faults_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tunery.cli._session.Session.client", broken)
    assert isinstance(tunery("models", "list").exception, ZeroDivisionError)
