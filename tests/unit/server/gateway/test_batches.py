"""Batches through the whole gateway, with the stock client and an engine that can fail."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from openai.types import Batch
from openai.types.responses import Response

from tests.engines import Fault
from tests.rows import NOW, a_batch
from tunery_server.gateway.app import create_app
from tunery_server.gateway.auth import FILES, INFERENCE
from tunery_server.records.batches import BatchRecords
from tunery_server.records.rows import BatchStatus
from tunery_server.telemetry.metrics import REQUESTS_WAITING

from .composed import Gateway

ENDED = {"completed", "failed", "expired", "cancelled"}
MESSAGES: Any = [{"role": "user", "content": "hi"}]


def line(number: int, **body: Any) -> dict[str, Any]:
    body = {"model": "base", "messages": MESSAGES, **body}
    url = "/v1/chat/completions"
    return {"custom_id": f"line-{number}", "method": "POST", "url": url, "body": body}


async def upload(client: AsyncOpenAI, *lines: dict[str, Any]) -> str:
    text = "".join(json.dumps(item) + "\n" for item in lines)
    file = await client.files.create(file=("in.jsonl", text.encode()), purpose="batch")
    return file.id


async def submit(client: AsyncOpenAI, *lines: dict[str, Any], **values: Any) -> Batch:
    return await client.batches.create(
        input_file_id=await upload(client, *lines),
        completion_window="24h",
        **{"endpoint": "/v1/chat/completions", **values},
    )


async def ended(client: AsyncOpenAI, batch: Batch) -> Batch:
    async with asyncio.timeout(30):
        while batch.status not in ENDED:
            await asyncio.sleep(0.02)
            batch = await client.batches.retrieve(batch.id)
    return batch


async def results(client: AsyncOpenAI, file_id: str | None) -> dict[str, Any]:
    if file_id is None:
        return {}
    text = (await client.files.content(file_id)).text
    return {row["custom_id"]: row for row in map(json.loads, text.splitlines())}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what it looks at is plain state
            await asyncio.sleep(0.01)


async def test_the_stock_client_runs_a_batch(gateway: Gateway) -> None:
    adapter = gateway.publish()
    async with gateway.running(), gateway.openai() as client:
        batch = await submit(
            client,
            line(0),
            line(1, model=adapter.model, temperature=0.5),
            line(2, model="ft:base:tunery::unknown"),
            line(3, temperature=9),
            line(4, stream=True),
            line(5, guided_regex="(a+)+b"),
            metadata={"team": "sea"},
            output_expires_after={"anchor": "created_at", "seconds": 3600},
        )
        assert (batch.status, batch.metadata) == ("validating", {"team": "sea"})
        assert batch.expires_at == batch.created_at + 24 * 3600
        batch = await ended(client, batch)
        assert batch.status == "completed"
        assert batch.request_counts is not None
        assert batch.request_counts.model_dump() == {"total": 6, "completed": 2, "failed": 4}
        assert batch.usage is not None
        assert (batch.usage.input_tokens, batch.usage.output_tokens) == (10, 4)
        assert batch.usage.total_tokens == 14
        good = await results(client, batch.output_file_id)
        bad = await results(client, batch.error_file_id)
        assert batch.output_file_id is not None
        file = await client.files.retrieve(batch.output_file_id)
        assert file.purpose == "batch_output"
        assert file.expires_at is not None
    assert set(good) == {"line-0", "line-1"}
    assert good["line-1"]["response"]["body"]["model"] == adapter.model
    assert {name: row["response"]["status_code"] for name, row in bad.items()} == {
        "line-2": 404,
        "line-3": 400,
        "line-4": 400,
        "line-5": 400,
    }
    errors = {name: row["response"]["body"]["error"] for name, row in bad.items()}
    assert errors["line-2"]["code"] == "model_not_found"
    assert (errors["line-3"]["param"], errors["line-4"]["param"]) == ("temperature", "stream")
    assert errors["line-5"]["code"] == "unknown_parameter"


async def test_a_line_is_the_same_request_as_an_interactive_one(gateway: Gateway) -> None:
    body = {"temperature": 0.5, "user": "someone", "max_tokens": 7}
    async with gateway.running(), gateway.openai() as client:
        await client.chat.completions.create(model="base", messages=MESSAGES, **body)
        await ended(client, await submit(client, line(0, **body)))
    interactive, batched = gateway.engine.requests
    assert interactive == batched
    assert "cache_salt" in batched[1]


async def test_text_completions_have_their_own_endpoint(gateway: Gateway) -> None:
    row = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/completions",
        "body": {"model": "base", "prompt": "x"},
    }
    async with gateway.running(), gateway.openai() as client:
        batch = await ended(client, await submit(client, row, endpoint="/v1/completions"))
        assert batch.model == "base"
        assert (await results(client, batch.output_file_id))["a"]["response"]["status_code"] == 200


async def test_responses_have_their_own_endpoint(gateway: Gateway) -> None:
    bodies: list[dict[str, Any]] = [
        {"model": "base", "input": "x"},
        {"model": "base", "input": "x", "stream": True},
        {"model": "base", "input": []},
    ]
    rows = [
        {"custom_id": str(number), "method": "POST", "url": "/v1/responses", "body": body}
        for number, body in enumerate(bodies)
    ]
    async with gateway.running(), gateway.openai() as client:
        batch = await ended(client, await submit(client, *rows, endpoint="/v1/responses"))
        good = await results(client, batch.output_file_id)
        bad = await results(client, batch.error_file_id)
    answer = Response.model_validate(good["0"]["response"]["body"])
    assert answer.output_text == "Hi!"
    params = {name: row["response"]["body"]["error"]["param"] for name, row in bad.items()}
    assert params == {"1": "stream", "2": "input"}
    assert batch.usage is not None
    assert (batch.usage.input_tokens, batch.usage.output_tokens) == (5, 2)


async def test_a_bad_file_says_which_lines(gateway: Gateway) -> None:
    async with gateway.running(), gateway.openai() as client:
        batch = await ended(client, await submit(client, line(0), line(0), {"custom_id": "x"}))
    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.object == "list"
    assert batch.errors.data is not None
    assert [(item.line, item.code) for item in batch.errors.data] == [
        (2, "duplicate_custom_id"),
        (3, "missing_required_parameter"),
    ]
    assert gateway.engine.requests == []


@pytest.mark.parametrize("fault", [Fault.AWAY, Fault.CUT, Fault.SILENT, Fault.DIES])
async def test_an_engine_that_comes_back_answers_every_line(gateway: Gateway, fault: Fault) -> None:
    async with gateway.running(), gateway.openai() as client:
        gateway.engine.fault = fault
        batch = await submit(client, *[line(number) for number in range(3)])
        await until(lambda: len(gateway.engine.requests) >= 3)
        gateway.engine.fault = Fault.NONE
        batch = await ended(client, batch)
        assert batch.request_counts is not None
        assert (batch.request_counts.completed, batch.request_counts.failed) == (3, 0)


async def test_clients_are_admitted_before_every_waiting_line(gateway: Gateway) -> None:
    """Of four places lines take three; the next client has the last one, and a second the first
    that is given back."""
    settings = gateway.settings.model_copy(update={"max_concurrent_requests": 4})
    small = replace(gateway, app=create_app(settings, gateway.engine))
    requests = gateway.engine.requests
    gateway.engine.fault = Fault.SLOW
    async with small.running(), small.openai() as client:
        batch = await submit(client, *[line(number, seed=number) for number in range(50)])
        await until(lambda: len(requests) == 3)
        asked = []
        for seed in (998, 999):
            ask = client.chat.completions.create(model="base", messages=MESSAGES, seed=seed)
            asked.append(asyncio.create_task(ask))
            await until(lambda: len(requests) == 4)
        await until(lambda: REQUESTS_WAITING.collect()[0].samples[0].value == 1)
        gateway.engine.fault = Fault.NONE
        gateway.engine.go.set()
        await asyncio.gather(*asked)
        await ended(client, batch)
    seeds = [body["seed"] for _, body in requests]
    assert seeds[:5] == [0, 1, 2, 998, 999]
    assert sorted(seeds) == [*range(50), 998, 999]


async def test_a_batch_is_cancelled_once(gateway: Gateway) -> None:
    gateway.engine.fault = Fault.SLOW
    async with gateway.running(), gateway.openai() as client:
        batch = await submit(client, *[line(number) for number in range(20)])
        await until(lambda: len(gateway.engine.requests) == 8)
        assert (await client.batches.cancel(batch.id)).status == "cancelling"
        await client.batches.cancel(batch.id)
        batch = await ended(client, batch)
        assert batch.status == "cancelled"
        assert await client.batches.cancel(batch.id) == batch
        assert gateway.engine.running == 0
        gateway.engine.fault = Fault.NONE
        done = await ended(client, await submit(client, line(0)))
        with pytest.raises(openai.BadRequestError) as error:
            await client.batches.cancel(done.id)
    assert error.value.code == "batch_not_cancellable"


async def test_the_input_stays_while_the_batch_runs(gateway: Gateway) -> None:
    gateway.engine.fault = Fault.SLOW
    async with gateway.running(), gateway.openai() as client:
        batch = await submit(client, line(0))
        with pytest.raises(openai.BadRequestError) as error:
            await client.files.delete(batch.input_file_id)
        assert error.value.code == "file_in_use"
        gateway.engine.go.set()
        await ended(client, batch)
        assert (await client.files.delete(batch.input_file_id)).deleted


async def test_lists_go_on_from_page_to_page(gateway: Gateway) -> None:
    made = [a_batch(created_at=NOW + number // 2) for number in range(5)]
    for batch in [*made, a_batch(tenant_id="rival")]:
        BatchRecords(gateway.database).add(batch)
    newest = sorted(made, key=lambda batch: (batch.created_at, batch.id), reverse=True)
    async with gateway.openai() as client:
        assert [item.id async for item in client.batches.list(limit=2)] == [b.id for b in newest]
    async with gateway.http() as http:
        first = (await http.get("/v1/batches?limit=2")).json()
        assert (first["first_id"], first["last_id"]) == (newest[0].id, newest[1].id)
        assert first["has_more"]
        assert (await http.get("/v1/batches?after=batch_unknown")).status_code == 400


async def test_another_tenants_batch_is_an_absent_one(gateway: Gateway) -> None:
    batch = a_batch()
    BatchRecords(gateway.database).add(batch)
    async with gateway.http(gateway.rival_key) as http:
        for batch_id in (batch.id, "batch_none"):
            for answer in (
                await http.get(f"/v1/batches/{batch_id}"),
                await http.post(f"/v1/batches/{batch_id}/cancel"),
            ):
                assert answer.status_code == 404
                message = answer.json()["error"]["message"].replace(batch_id, "ID")
                assert message == "No batch with id 'ID'."
    stored = BatchRecords(gateway.database).get("acme", batch.id)
    assert stored is not None
    assert stored.status is BatchStatus.VALIDATING


@pytest.mark.parametrize(
    ("values", "param", "code"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint", "invalid_value"),
        ({"endpoint": None}, "endpoint", None),
        ({"completion_window": "1h"}, "completion_window", "invalid_value"),
        ({"input_file_id": 5}, "input_file_id", "invalid_type"),
        ({"input_file_id": "a\0b"}, "input_file_id", "invalid_value"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k", "string_above_max_length"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "array_above_max_length"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 10}}, None, None),
        ({"output_expires_after": {"anchor": "now", "seconds": 3600}}, None, "invalid_value"),
        ({"priority": "high"}, "priority", "unknown_parameter"),
    ],
)
async def test_a_bad_request_is_refused(
    gateway: Gateway, values: dict[str, Any], param: str | None, code: str | None
) -> None:
    good = {
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "input_file_id": "file-none",
    }
    async with gateway.http() as http:
        answer = await http.post("/v1/batches", json={**good, **values})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert param in (None, error["param"])
    assert code in (None, error["code"])


async def refused_input(http: httpx2.AsyncClient, file_id: str) -> tuple[int, str, str]:
    body = {
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "input_file_id": file_id,
    }
    answer = await http.post("/v1/batches", json=body)
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


async def test_the_input_has_to_be_ones_own_batch_file(gateway: Gateway) -> None:
    async with gateway.openai() as client, gateway.openai(gateway.rival_key) as rival:
        theirs = await upload(rival, line(0))
        other = await client.files.create(file=("a.txt", b"x"), purpose="user_data")
        big = await client.files.create(
            file=("in.jsonl", b"x" * (200 * 2**20 + 1)), purpose="batch"
        )
    async with gateway.http() as http:
        for absent in (theirs, "file-none"):
            assert await refused_input(http, absent) == (404, "not_found", "input_file_id")
        for wrong in (other.id, big.id):
            assert await refused_input(http, wrong) == (400, "invalid_file", "input_file_id")


@pytest.mark.parametrize("scope", [INFERENCE, FILES])
async def test_a_batch_wants_both_scopes(gateway: Gateway, scope: str) -> None:
    async with gateway.http(gateway.new_key(scope)) as http:
        assert (await http.get("/v1/batches")).status_code == 403


async def test_a_batch_that_is_sent_again_is_the_same(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        file_id = await upload(client, line(0))
    body = {
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "input_file_id": file_id,
    }
    async with gateway.http() as http:
        made = [
            (await http.post("/v1/batches", json=body, headers=headers)).json()["id"]
            for headers in (
                {"x-stainless-retry-count": "0"},
                {"x-stainless-retry-count": "1"},
                {"Idempotency-Key": "mine"},
                {"Idempotency-Key": "mine"},
                {},
            )
        ]
    assert made[0] == made[1]
    assert made[2] == made[3]
    assert len(set(made)) == 3


async def test_the_metrics_count_batches_and_lines(gateway: Gateway) -> None:
    async with gateway.running(), gateway.openai() as client:
        await ended(client, await submit(client, line(0)))
        async with gateway.http() as http:
            text = (await http.get("/metrics")).text
    assert 'tunery_batches{status="completed"} 1.0' in text
    assert 'tunery_batch_lines_total{outcome="completed"}' in text
