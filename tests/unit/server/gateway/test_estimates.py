"""Asked before a job: the whole gateway, with a stand-in for the process that reads files."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from tests.base_models import write_sizes
from tests.engines import ScriptedEngine
from tests.rows import NOW, a_file, a_job
from tests.surveys import Surveyor, a_survey
from tunery_adapters.survey import Refused, ShownRow, ShownSequence, Token, Truncated
from tunery_server.config import Settings
from tunery_server.errors import Overloaded
from tunery_server.queue.contract import Offer
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.files import FileRecords
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import JobStatus

from .composed import Gateway, composed

GIB = 2**30
JOBS = "/v1/fine_tuning/jobs"
ROW = ShownRow(
    row=2,
    sequences=(
        ShownSequence(
            role="chosen",
            tokens=(Token("Hi", 7, False), Token(" you", 8, True)),
            truncated_tokens=3,
            dropped=False,
        ),
    ),
)


@pytest.fixture
def surveyor() -> Surveyor:
    return Surveyor()


@pytest.fixture
async def gateway(
    settings: Settings,
    engine: ScriptedEngine,
    migrated: Path,
    tmp_path: Path,
    surveyor: Surveyor,
) -> AsyncIterator[Gateway]:
    """With a base model that has sizes, two files, and no process that reads them."""
    redis.Redis.from_url(settings.redis).flushall()
    model = write_sizes(tmp_path / "model", hidden_size=1024, num_hidden_layers=12)
    measured = settings.model_copy(update={"model": str(model), "max_training_length": 4000})
    gateway = composed(measured, engine, migrated, surveyor)
    files = FileRecords(gateway.database)
    files.add(a_file(id="file-a", sha256="a", examples=20))
    files.add(a_file(id="file-valid", sha256="v", examples=5))
    yield gateway
    gateway.database.close()


def machine(gateway: Gateway, memory: int) -> None:
    """What a worker says when it asks for a job."""
    queue = RedisQueue(redis.Redis.from_url(gateway.settings.redis), lease_s=60)
    queue.claim(wait_s=0, offer=Offer(machine_memory_bytes=memory))


async def post(gateway: Gateway, path: str, **body: Any) -> httpx2.Response:
    async with gateway.http() as http:
        return await http.post(path, json={"model": "base", "training_file": "file-a", **body})


async def estimate(gateway: Gateway, **body: Any) -> dict[str, Any]:
    answer = await post(gateway, f"{JOBS}/estimate", **body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_tokens_and_steps_are_those_of_the_job(gateway: Gateway, surveyor: Surveyor) -> None:
    cut = Truncated(row=3, tokens=9)
    surveyor.lines = (a_survey(truncated_rows=1, truncated_tokens=9, truncated=(cut,)),)
    found = await estimate(gateway, hyperparameters={"n_epochs": 2, "batch_size": 8})
    assert found["tokens"] == {
        **{"epoch": 190, "trained_epoch": 60, "total": 380, "trained_total": 120},
        "validation": None,
    }
    assert found["steps"] == {"epoch": 3, "total": 6}
    assert found["hyperparameters"]["batch_size"] == 8
    assert (found["rows"], found["sampled"], found["examples"]) == (20, False, 20)
    assert found["truncation"] == {
        **{"max_length": 4000, "rows": 1, "tokens": 9, "dropped_examples": 0},
        "first": [{"row": 3, "tokens": 9}],
    }
    assert found["adapter_bytes"] > 1000


async def test_a_sample_stands_for_the_file(gateway: Gateway, surveyor: Surveyor) -> None:
    surveyor.lines = (a_survey(rows=100, rows_read=20),)
    found = await estimate(gateway)
    assert (found["rows"], found["rows_read"], found["sampled"]) == (100, 20, True)
    assert (found["examples"], found["tokens"]["epoch"]) == (100, 950)
    assert found["longest_sequence"] == 4000  # a sample does not bound it


async def test_the_validation_file_is_counted(gateway: Gateway, surveyor: Surveyor) -> None:
    found = await estimate(gateway, validation_file="file-valid")
    assert found["tokens"]["validation"] == 190
    assert [spec.split for spec in surveyor.asked] == ["training", "validation"]


async def test_memory_is_unknown_until_a_worker_told_of_its_machine(gateway: Gateway) -> None:
    memory = (await estimate(gateway))["memory"]
    assert memory["bytes"] > GIB // 2
    assert (memory["fits"], memory["largest_machine_bytes"]) == (None, None)
    machine(gateway, 64 * GIB)
    memory = (await estimate(gateway))["memory"]
    assert (memory["fits"], memory["largest_machine_bytes"]) == (True, 64 * GIB)


async def test_what_does_not_fit_is_said_and_then_refused(
    gateway: Gateway, surveyor: Surveyor
) -> None:
    machine(gateway, 2 * GIB)
    surveyor.lines = (a_survey(longest_sequence=4000),)
    memory = (await estimate(gateway))["memory"]
    assert (memory["fits"], memory["param"]) == (False, "training_file")
    answer = await post(gateway, JOBS)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("job_does_not_fit", "training_file")
    assert error["message"] == memory["reason"]


async def test_a_job_is_refused_for_what_its_rows_are_and_not_for_what_they_may_be(
    gateway: Gateway, surveyor: Surveyor
) -> None:
    """By its bytes the longest row could have 4000 tokens; it has 20."""
    machine(gateway, 2 * GIB)
    answer = await post(gateway, JOBS)
    assert answer.status_code == 200, answer.text
    assert len(surveyor.asked) == 1
    job = JobRecords(gateway.database).get("acme", answer.json()["id"])
    assert job is not None
    assert GIB // 2 < job.memory_bytes < GIB
    assert (await post(gateway, JOBS)).status_code == 200
    assert len(surveyor.asked) == 1


async def test_rows_that_the_trainer_would_refuse_are_refused_with_a_large_job(
    gateway: Gateway, surveyor: Surveyor
) -> None:
    machine(gateway, 2 * GIB)
    surveyor.lines = (Refused(code="invalid_file", message="Line 4", param="training_file"),)
    answer = await post(gateway, JOBS)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "Line 4")


async def test_a_large_job_that_fits_is_taken_where_nobody_can_look(
    gateway: Gateway, surveyor: Surveyor
) -> None:
    machine(gateway, 6 * GIB)
    surveyor.fault = Overloaded("Too many files are being looked at.")
    answer = await post(gateway, JOBS)
    assert answer.status_code == 200, answer.text
    assert len(surveyor.asked) == 1
    assert (await post(gateway, f"{JOBS}/estimate")).status_code == 503


async def test_a_job_that_is_small_by_its_bytes_is_not_looked_into(
    gateway: Gateway, surveyor: Surveyor
) -> None:
    machine(gateway, 64 * GIB)
    assert (await post(gateway, JOBS)).status_code == 200
    assert not surveyor.asked


async def test_seconds_are_computed_and_then_measured(gateway: Gateway) -> None:
    seconds = (await estimate(gateway))["seconds"]
    assert (seconds["basis"], seconds["jobs"]) == ("computed", 0)
    assert seconds["low"] < seconds["expected"] < seconds["high"]
    lora = {"rank": 16, "quantization": "none", "dropout": 0.0}
    ended = a_job(
        status=JobStatus.SUCCEEDED,
        lora=lora,
        started_at=NOW,
        finished_at=NOW + 60,
        timings={"training_started_at": NOW + 20},
        progress={"mean_tokens_per_s": 19.0},
    )
    JobRecords(gateway.database).add(ended)
    JobRecords(gateway.database).add(replace(a_job(), status=JobStatus.SUCCEEDED, finished_at=NOW))
    seconds = (await estimate(gateway, hyperparameters={"n_epochs": 2}))["seconds"]
    assert seconds == {
        **{"expected": 40.0, "low": 30.8, "high": 52.0},
        **{"basis": "measured", "jobs": 1},
    }


async def test_rows_are_shown_token_by_token(gateway: Gateway, surveyor: Surveyor) -> None:
    surveyor.lines = (ROW, a_survey())
    answer = await post(gateway, f"{JOBS}/preview", offset=1, limit=1)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["data"] == [
        {
            "row": 2,
            "omitted_sequences": 0,
            "sequences": [
                {
                    "role": "chosen",
                    "tokens": [
                        {"text": "Hi", "id": 7, "trained": False},
                        {"text": " you", "id": 8, "trained": True},
                    ],
                    "truncated_tokens": 3,
                    "dropped": False,
                }
            ],
        }
    ]
    assert found["has_more"]
    assert found["statistics"]["lengths"]["p95"] == 14
    assert (surveyor.asked[0].offset, surveyor.asked[0].limit) == (1, 1)


async def test_an_estimate_after_a_preview_reads_nothing(
    gateway: Gateway, surveyor: Surveyor
) -> None:
    await post(gateway, f"{JOBS}/preview")
    await estimate(gateway)
    assert len(surveyor.asked) == 1


@pytest.mark.parametrize("path", ["", "/estimate", "/preview"])
@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"model": "other"}, "model"),
        ({"training_file": "file-none"}, "training_file"),
        ({"lora": {"rank": 17}}, "lora.rank"),
        ({"lora": {"target_modules": ["q_proj", "lm_head"]}}, "lora.target_modules"),
        ({"training": {"eval_every": 5}}, "training.eval_every"),
        ({"hyperparameters": {"batch_size": 0}}, "hyperparameters.batch_size"),
    ],
)
async def test_what_creating_refuses_is_refused_before(
    gateway: Gateway, surveyor: Surveyor, path: str, wrong: dict[str, Any], param: str
) -> None:
    answer = await post(gateway, JOBS + path, **wrong)
    assert answer.status_code in {400, 404}
    assert answer.json()["error"]["param"] == param
    assert not surveyor.asked


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 51}, {"offset": -1}, {"limit": "all"}])
async def test_rows_that_cannot_be_shown(gateway: Gateway, wrong: dict[str, Any]) -> None:
    answer = await post(gateway, f"{JOBS}/preview", **wrong)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == next(iter(wrong))


async def test_a_row_that_the_trainer_would_refuse_is_named(
    gateway: Gateway, surveyor: Surveyor
) -> None:
    surveyor.lines = (Refused(code="invalid_file", message="Line 4", param="training_file"),)
    for path in ("estimate", "preview"):
        answer = await post(gateway, f"{JOBS}/{path}")
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == "Line 4"


async def test_another_tenants_file_is_not_there(gateway: Gateway, surveyor: Surveyor) -> None:
    for path in ("estimate", "preview"):
        async with gateway.http(gateway.rival_key) as http:
            body = {"model": "base", "training_file": "file-a"}
            assert (await http.post(f"{JOBS}/{path}", json=body)).status_code == 404
    assert not surveyor.asked


async def test_the_look_ends_when_the_client_goes(gateway: Gateway, surveyor: Surveyor) -> None:
    surveyor.answers = False
    body = json.dumps({"model": "base", "training_file": "file-a"}).encode()
    await asyncio.gather(
        gateway.app(scope(gateway), receiving(body, surveyor.begun), ignore),
        return_exceptions=True,
    )
    assert surveyor.ended.is_set()


def scope(gateway: Gateway) -> dict[str, Any]:
    headers = {
        b"authorization": f"Bearer {gateway.key}".encode(),
        b"content-type": b"application/json",
        b"host": b"tunery",
    }
    return {
        "type": "http",
        "method": "POST",
        "path": f"{JOBS}/estimate",
        "raw_path": f"{JOBS}/estimate".encode(),
        "query_string": b"",
        "headers": list(headers.items()),
        "http_version": "1.1",
        "scheme": "http",
        "server": ("tunery", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
        "state": {},
    }


def receiving(body: bytes, begun: asyncio.Event) -> Callable[[], Any]:
    """The body, and once somebody has begun to work on it, the end of the connection."""
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        if part := next(parts, None):
            return part
        await begun.wait()
        return {"type": "http.disconnect"}

    return receive


async def ignore(_: dict[str, Any]) -> None:
    """Nobody listens."""
