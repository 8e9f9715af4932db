"""Batches on the real engine, through the stock client."""

import json
import os
import signal
import time
from typing import Any

import pytest
from openai import OpenAI
from openai.types import Batch
from openai.types.fine_tuning import FineTuningJob

from tests.servers import MODEL_NAME, RunningServer

pytestmark = pytest.mark.engine

ENDED = {"completed", "failed", "expired", "cancelled"}
URL = "/v1/chat/completions"


@pytest.fixture(scope="module")
def client(server: RunningServer) -> OpenAI:
    return server.client()


def line(number: int, model: str = MODEL_NAME, **body: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"What is {number} plus {number}?"}]
    body = {"model": model, "messages": messages, "max_tokens": 12, "temperature": 0, **body}
    return {"custom_id": f"q-{number}", "method": "POST", "url": URL, "body": body}


def submit(client: OpenAI, lines: list[dict[str, Any]]) -> Batch:
    text = "".join(json.dumps(item) + "\n" for item in lines)
    file = client.files.create(file=("in.jsonl", text.encode()), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=URL, completion_window="24h")


def until(client: OpenAI, batch: Batch, *, done: int | None = None) -> Batch:
    """The batch once so many lines have a result, by default once it has ended."""
    deadline = time.monotonic() + 240
    while batch.status not in ENDED and (done is None or _done(batch) < done):
        assert time.monotonic() < deadline, batch
        time.sleep(0.1)
        batch = client.batches.retrieve(batch.id)
    return batch


def _done(batch: Batch) -> int:
    assert batch.request_counts is not None
    return batch.request_counts.completed + batch.request_counts.failed


def rows(client: OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    if file_id is None:
        return []
    return [json.loads(text) for text in client.files.content(file_id).text.splitlines()]


def test_a_batch_over_the_base_model_and_an_adapter(
    client: OpenAI, lora_job: FineTuningJob
) -> None:
    adapter = lora_job.fine_tuned_model
    assert adapter is not None
    lines = [line(number, MODEL_NAME if number % 2 else adapter) for number in range(12)]
    lines[3]["body"]["temperature"] = 9
    lines[4]["body"]["model"] = "ft:unknown"
    batch = until(client, submit(client, lines))
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert batch.request_counts.model_dump() == {"total": 12, "completed": 10, "failed": 2}
    good = {row["custom_id"]: row["response"] for row in rows(client, batch.output_file_id)}
    bad = {row["custom_id"]: row["response"] for row in rows(client, batch.error_file_id)}
    assert {name: answer["status_code"] for name, answer in bad.items()} == {"q-3": 400, "q-4": 404}
    assert set(good) | set(bad) == {f"q-{number}" for number in range(12)}
    for number in (0, 1):
        interactive = client.chat.completions.create(**lines[number]["body"])
        body = good[f"q-{number}"]["body"]
        assert body["model"] == interactive.model
        assert body["choices"][0]["message"]["content"] == interactive.choices[0].message.content
    assert batch.usage is not None
    usages = [answer["body"]["usage"] for answer in good.values()]
    assert batch.usage.input_tokens == sum(usage["prompt_tokens"] for usage in usages)
    assert batch.usage.output_tokens == sum(usage["completion_tokens"] for usage in usages)
    assert batch.usage.total_tokens == sum(usage["total_tokens"] for usage in usages)


def test_a_client_is_answered_while_a_long_batch_runs(
    client: OpenAI, server: RunningServer
) -> None:
    batch = submit(client, [line(number, max_tokens=100, min_p=0.0) for number in range(200)])
    until(client, batch, done=1)
    answer = client.chat.completions.create(**line(7)["body"])
    assert answer.choices[0].message.content
    between = client.batches.retrieve(batch.id)
    assert between.status == "in_progress"
    assert _done(between) < 200
    client.batches.cancel(batch.id)
    asked = time.monotonic()
    batch = until(client, batch)
    assert batch.status == "cancelled"
    assert time.monotonic() - asked < 10
    assert len(rows(client, batch.output_file_id)) == _done(batch)


def test_a_killed_gateway_loses_no_answer_of_a_batch(client: OpenAI, server: RunningServer) -> None:
    batch = submit(client, [line(number, max_tokens=40) for number in range(60)])
    until(client, batch, done=10)
    [gateway] = server.pids("tunery_server gateway")
    os.kill(gateway, signal.SIGKILL)
    server.wait_ready()
    batch = until(client, batch)
    assert batch.status == "completed"
    found = [row["custom_id"] for row in rows(client, batch.output_file_id)]
    assert sorted(found) == sorted(f"q-{number}" for number in range(60))
    assert batch.error_file_id is None
