"""The same behaviour of both clients: one suite, run against each."""

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from tunery import (
    AsyncTunery,
    FineTuneCancelled,
    FineTuneFailed,
    FineTuneTimeout,
    Patience,
    Tunery,
    TuneryError,
)
from tunery._job_events import EventReader

from .conftest import StoppedClock
from .scripted_server import (
    BASE,
    TUNED,
    ScriptedServer,
    answer,
    event,
    event_stream,
    job,
    refusal,
    step,
)

JOBS = "/v1/fine_tuning/jobs"
EVENTS = f"{JOBS}/ftjob-1/events"

FineTune = Callable[..., str]


@pytest.fixture(params=["sync", "async"])
def fine_tune(
    request: pytest.FixtureRequest, server: ScriptedServer, clock: Any, loop_clock: Any
) -> FineTune:
    """``client.fine_tune`` of a client without retries of its own."""
    options: dict[str, Any] = {"base_url": server.url, "api_key": "sk-test", "max_retries": 0}
    if request.param == "sync":
        return Tunery(**options).fine_tune

    def run(*args: Any, **kwargs: Any) -> str:
        async def once() -> str:
            async with AsyncTunery(**options) as client:
                return await client.fine_tune(*args, **kwargs)

        return asyncio.run(once())

    return run


def test_it_uploads_submits_waits_and_names_the_model(
    fine_tune: FineTune, server: ScriptedServer, train_file: Path
) -> None:
    server.looks = [job("queued"), job("running"), job("succeeded")]
    assert fine_tune(train_file) == TUNED
    [upload] = server.asked("POST", "/v1/files")
    assert b'name="purpose"\r\n\r\nfine-tune' in upload.body
    assert train_file.read_bytes() in upload.body
    [submitted] = server.asked("POST", JOBS)
    auto = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    assert submitted.json == {
        "model": BASE,
        "training_file": "file-1",
        "method": {"type": "supervised", "supervised": {"hyperparameters": auto}},
    }
    assert len(server.asked("GET", EVENTS)) == 3


def test_ids_are_used_as_they_are_and_the_recipe_is_sent(
    fine_tune: FineTune, server: ScriptedServer
) -> None:
    recipe = {"suffix": "s", "n_epochs": 2, "seed": 7, "lora": {"rank": 8, "quantization": "nf4"}}
    fine_tune("file-a", model="m", validation_file="file-b", **recipe)
    assert not server.asked("POST", "/v1/files")
    [submitted] = server.asked("POST", JOBS)
    body = submitted.json
    assert (body["model"], body["training_file"], body["validation_file"]) == (
        "m", "file-a", "file-b",
    )  # fmt: skip
    assert body["method"]["supervised"]["hyperparameters"]["n_epochs"] == 2
    assert (body["suffix"], body["seed"]) == ("s", 7)
    assert body["lora"] == {"rank": 8, "quantization": "nf4"}


def test_preferences_and_selection_are_sent(fine_tune: FineTune, server: ScriptedServer) -> None:
    fine_tune(
        "file-a",
        model=TUNED,
        method="dpo",
        beta=0.2,
        eval_every=5,
        early_stopping={"patience": 2},
        keep="best",
    )
    body = server.asked("POST", JOBS)[0].json
    assert body["model"] == TUNED
    assert body["method"] == {
        "type": "dpo",
        "dpo": {
            "hyperparameters": {
                "n_epochs": "auto",
                "batch_size": "auto",
                "learning_rate_multiplier": "auto",
                "beta": 0.2,
            }
        },
    }
    assert body["training"] == {"eval_every": 5, "early_stopping": {"patience": 2}, "keep": "best"}


def test_every_event_is_reported_once_and_in_order(
    fine_tune: FineTune, server: ScriptedServer
) -> None:
    server.events = [event(1, "a"), event(2, "b"), event(3, "c"), step(4), step(5), event(6, "d")]
    server.looks = [
        job("running", _events=1),
        job("running", _events=4),
        job("running", _events=4),
        job("succeeded", _events=6),
    ]
    seen: list[str] = []
    fine_tune("file-a", on_event=lambda event: seen.append(event.id))
    assert seen == [item["id"] for item in server.events]


def test_a_failed_job_raises_with_the_servers_reason(
    fine_tune: FineTune, server: ScriptedServer
) -> None:
    reason = {"code": "out_of_memory", "message": "no memory", "param": "training_file"}
    server.looks = [job("failed", error=reason)]
    with pytest.raises(FineTuneFailed) as raised:
        fine_tune("file-a")
    error = raised.value
    assert (error.code, error.message, error.param) == (*list(reason.values()),)
    assert error.job.id == "ftjob-1"
    assert str(error) == "fine-tuning job ftjob-1 failed (out_of_memory): no memory"


def test_a_cancelled_job_raises(fine_tune: FineTune, server: ScriptedServer) -> None:
    server.looks = [job("running"), job("cancelled")]
    with pytest.raises(FineTuneCancelled, match="ftjob-1 was cancelled"):
        fine_tune("file-a")


def test_a_wait_that_is_too_long_raises_and_leaves_the_job(
    fine_tune: FineTune, server: ScriptedServer
) -> None:
    server.looks = [job("running")]
    with pytest.raises(FineTuneTimeout, match="still running after 10 s") as raised:
        fine_tune("file-a", timeout_s=10)
    assert isinstance(raised.value, TimeoutError)
    assert len(server.asked("GET", EVENTS)) == 11
    assert not server.asked("POST", f"{JOBS}/ftjob-1/cancel")


def test_a_restart_of_the_server_does_not_end_the_wait(
    fine_tune: FineTune, server: ScriptedServer
) -> None:
    down = refusal(503, "restarting")
    server.looks = [job("running"), *[down] * 60, job("running"), *[down] * 60, job("succeeded")]
    assert fine_tune("file-a") == TUNED


def test_a_server_that_stays_away_ends_the_wait(
    fine_tune: FineTune, server: ScriptedServer
) -> None:
    server.looks = [job("running"), refusal(503, "gone for good")]
    with pytest.raises(Exception, match="gone for good"):
        fine_tune("file-a")


def test_a_missing_file_is_named_before_anything_is_sent(
    fine_tune: FineTune, server: ScriptedServer, train_file: Path
) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jsonl"):
        fine_tune(train_file, validation_file="nowhere.jsonl")
    assert server.calls == []


def test_an_unknown_option_is_named_before_anything_is_sent(
    fine_tune: FineTune, server: ScriptedServer, train_file: Path
) -> None:
    with pytest.raises(TypeError, match="n_epoch"):
        fine_tune(train_file, n_epoch=3)
    assert server.calls == []


def test_a_server_without_a_base_model_is_an_error(
    fine_tune: FineTune, server: ScriptedServer
) -> None:
    server.models = []
    with pytest.raises(TuneryError, match="no base model"):
        fine_tune("file-a")


def test_it_goes_on_after_the_last_event_that_came(
    fine_tune: FineTune, server: ScriptedServer
) -> None:
    server.events = [event(1, "a"), step(2), event(3, "b")]
    looks = [job("running", _events=count) for count in (1, 2, 2)]
    server.looks = [refusal(503, "starting"), *looks, job("succeeded")]
    fine_tune("file-a")
    after = [call.headers.get("last-event-id") for call in server.asked("GET", EVENTS)]
    assert after == [None, None, "ftevent-1", "ftevent-2", "ftevent-2"]


def test_numbers_alone_do_not_make_it_read_the_job(
    fine_tune: FineTune, server: ScriptedServer
) -> None:
    server.events = [event(1, "a"), step(2), step(3)]
    server.looks = [job("running", _events=count) for count in (1, 2, 3)]
    server.looks.append(job("succeeded"))
    fine_tune("file-a")
    assert len(server.asked("GET", f"{JOBS}/ftjob-1")) == 2


def test_what_is_no_stream_of_events_is_an_error(
    fine_tune: FineTune, server: ScriptedServer
) -> None:
    server.looks = [answer({"object": "list", "data": []})]
    with pytest.raises(TuneryError, match="streams no events"):
        fine_tune("file-a")


def test_a_stream_that_ends_with_an_error_is_taken_up_again(
    fine_tune: FineTune, server: ScriptedServer
) -> None:
    error = 'data: {"error": {"message": "The server restarts.", "code": "server_restarting"}}\n\n'
    server.looks = [event_stream(end=error), job("succeeded")]
    assert fine_tune("file-a") == TUNED


def test_a_refusal_on_the_way_ends_the_wait(fine_tune: FineTune, server: ScriptedServer) -> None:
    server.looks = [job("running"), refusal(401, "This key was revoked.")]
    with pytest.raises(openai.AuthenticationError):
        fine_tune("file-a")


def test_patience_is_the_callers(server: ScriptedServer, clock: StoppedClock) -> None:
    server.looks = [refusal(503, "away")]
    client = Tunery(base_url=server.url, api_key="sk-test", max_retries=0)
    with pytest.raises(openai.InternalServerError):
        list(client.follow("ftjob-1", patience=Patience(outage_s=30, retry_s=10)))
    assert clock.now == 30


def test_events_are_typed(server: ScriptedServer, clock: StoppedClock) -> None:
    server.events = [event(1, "a"), step(2)]
    client = Tunery(base_url=server.url, api_key="sk-test")
    [update] = client.follow("ftjob-1")
    said, measured = update.events
    assert said.metrics is None
    assert measured.metrics is not None
    assert (measured.metrics.step, measured.metrics.train_loss) == (2, 0.75)
    assert measured.metrics.valid_loss is None


def test_pieces_of_any_size_make_the_same_events() -> None:
    whole = event_stream(*(event(number, "ü\r") for number in range(5))).body
    for size in (1, 2, 7, 1000):
        reader, ids = EventReader(), []
        for start in range(0, len(whole), size):
            assert not reader.ended
            ids += [found.id for found in reader.read(whole[start : start + size])]
        assert ids == [f"ftevent-{number}" for number in range(5)]
        assert reader.ended


def test_both_clients_have_the_same_methods() -> None:
    for name in ("fine_tune", "submit", "wait", "follow", "base_model"):
        sync, other = getattr(Tunery, name), getattr(AsyncTunery, name)
        assert inspect.signature(sync).parameters == inspect.signature(other).parameters
