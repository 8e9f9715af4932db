"""What was used, told to whom it belongs; and to an administrator, through the stock client."""

import asyncio
import csv
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tests.engines import Fault
from tests.rows import a_job
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import JobStatus
from tunery_server.records.usage_rows import Amounts, UsageKey
from tunery_server.records.work import Work
from tunery_server.serving.caller import Caller
from tunery_server.serving.ledger import Ledger
from tunery_server.serving.usage import StreamUsage, Usage

from .composed import Gateway
from .sockets import Edge

MESSAGES: Any = [{"role": "user", "content": "hi"}]
CHAT = {"model": "base", "messages": MESSAGES}


async def chat(gateway: Gateway, key: str | None = None, **values: Any) -> str:
    async with gateway.http(key) as http:
        return (await http.post("/v1/chat/completions", json={**CHAT, **values})).text


async def usage(gateway: Gateway, query: str = "", key: str | None = None) -> list[dict[str, Any]]:
    async with gateway.http(key) as http:
        answer = await http.get(f"/v1/usage?{query}")
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


async def test_a_tenant_sees_its_own_sums_at_once(gateway: Gateway) -> None:
    await chat(gateway)
    await chat(gateway, stream=True)
    await chat(gateway, gateway.rival_key)
    [row] = await usage(gateway)
    assert row["date"] == datetime.now(UTC).date().isoformat()
    assert (row["project_id"], row["requests"]) == ("acme", 2)
    assert (row["input_tokens"], row["output_tokens"]) == (10, 4)
    assert row["model"] is row["api_key_id"] is row["batch"] is None


async def test_sums_are_told_apart_by_model_and_key(gateway: Gateway) -> None:
    adapter, other = gateway.publish(), gateway.new_key()
    await chat(gateway)
    await chat(gateway, other, model=adapter.model)
    rows = await usage(gateway, "group_by[]=model&group_by[]=api_key_id")
    assert {row["model"] for row in rows} == {"base", adapter.model}
    assert len({row["api_key_id"] for row in rows}) == 2


async def test_the_same_as_a_table(gateway: Gateway) -> None:
    await chat(gateway)
    async with gateway.http() as http:
        answer = await http.get("/v1/usage?format=csv&group_by[]=model")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    [row] = csv.DictReader(answer.text.splitlines())
    assert (row["model"], row["requests"], row["input_tokens"]) == ("base", "1", "5")


async def test_a_training_counts_under_the_adapter_that_it_makes(gateway: Gateway) -> None:
    jobs = JobRecords(gateway.database)
    job = a_job(status=JobStatus.RUNNING, attempt=1, key_id="key-1")
    jobs.add(job)
    work = Work(trained_tokens=40, training_s=2.5, energy_j=300.0)
    at = {"in_attempt": 1, "model": "ft:base:tunery::x", "now": time.time()}
    jobs.advance(job.id, work=work, progress={}, **at)  # type: ignore[arg-type]
    await chat(gateway)
    trained, asked = sorted(
        await usage(gateway, "group_by[]=model&group_by[]=api_key_id"),
        key=lambda row: -row["trained_tokens"],
    )
    assert (trained["model"], trained["api_key_id"], trained["requests"]) == (
        *("ft:base:tunery::x", "key-1", 0),
    )
    assert (trained["trained_tokens"], trained["training_seconds"]) == (40, 2.5)
    assert (trained["training_energy_joules"], asked["training_energy_joules"]) == (300.0, None)
    async with gateway.openai() as client:
        day = int(time.time()) // 86_400 * 86_400
        page = await client.admin.organization.usage.completions(start_time=day, group_by=["model"])
    [result] = [result for bucket in page.data for result in bucket.results]
    assert result.model == "base"  # type: ignore[union-attr]


async def test_what_a_tenant_keeps_is_told_with_what_it_may(gateway: Gateway) -> None:
    gateway.publish(bytes=70)
    gateway.publish("rival", bytes=5)
    async with gateway.http() as http:
        form = {"files": {"file": ("a", b"12345")}, "data": {"purpose": "user_data"}}
        await http.post("/v1/files", **form)  # type: ignore[arg-type]
        kept = (await http.get("/v1/usage")).json()["storage"]
    assert (kept["files"], kept["file_bytes"], kept["adapters"], kept["adapter_bytes"]) == (
        *(1, 5, 1, 70),
    )
    assert kept["max_adapters"] == gateway.settings.max_adapters_per_tenant
    assert kept["max_file_bytes"] == gateway.settings.max_file_bytes_per_tenant


@pytest.mark.parametrize(
    "query",
    ["start=2026-01-02&end=2026-01-01", "start=2020-01-01", "group_by[]=user", "start=x", "end=0"],
)
async def test_a_wrong_question_is_refused(gateway: Gateway, query: str) -> None:
    async with gateway.http() as http:
        assert (await http.get(f"/v1/usage?{query}")).status_code == 400


@pytest.mark.promise("P18", fault="a client leaves its stream, and pays for what had come")
async def test_a_stream_that_its_client_left_counts_what_had_come(edge: Edge) -> None:
    gateway = edge.gateway
    gateway.engine.fault = Fault.STALLS
    async with (
        edge.http() as http,
        http.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as answer,
    ):
        assert '"Hi"' in await anext(answer.aiter_text())
    await gateway.engine.idle.wait()
    [row] = await usage(gateway)
    assert (row["requests"], row["input_tokens"], row["output_tokens"]) == (1, 5, 1)


async def test_a_client_sees_no_running_counts(gateway: Gateway) -> None:
    text = await chat(gateway, stream=True)
    assert '"usage"' not in text
    assert '"usage"' in await chat(gateway, stream=True, stream_options={"include_usage": True})


async def test_an_administrator_sees_everybody_through_the_stock_client(gateway: Gateway) -> None:
    await chat(gateway)
    await chat(gateway, gateway.rival_key)
    async with gateway.openai() as client:
        page = await client.admin.organization.usage.completions(
            start_time=int(time.time()) - 86_400, group_by=["project_id"]
        )
    results = [result for bucket in page.data for result in bucket.results]
    assert {result.project_id: result.input_tokens for result in results} == {  # type: ignore[union-attr]
        "acme": 5,
        "rival": 5,
    }
    assert [bucket.end_time - bucket.start_time for bucket in page.data] == [86_400] * 2


async def test_buckets_come_in_pages(gateway: Gateway) -> None:
    await chat(gateway)
    starts, page = [], None
    async with gateway.openai() as client:
        usage = client.admin.organization.usage
        while True:
            more = {"page": page} if page else {}
            answer = await usage.completions(
                start_time=int(time.time()) - 10 * 86_400,
                limit=3,
                **more,  # type: ignore[arg-type]
            )
            starts += [bucket.start_time for bucket in answer.data]
            page = answer.next_page
            if not answer.has_more:
                break
    assert starts == sorted(set(starts))
    assert len(starts) == 11


async def test_a_tenants_key_does_not_see_everybody(gateway: Gateway) -> None:
    async with gateway.http(gateway.new_key("inference")) as http:
        answer = await http.get("/v1/organization/usage/completions?start_time=0")
    assert answer.status_code == 403


class Sums:
    """A record that can be away."""

    def __init__(self) -> None:
        self.away = False
        self.entries: list[tuple[UsageKey, Amounts]] = []

    def add(self, entries: list[tuple[UsageKey, Amounts]]) -> None:
        if self.away:
            raise OperationalError("", {}, Exception())
        self.entries += entries


async def test_what_the_record_does_not_take_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    sums = Sums()
    ledger = Ledger(sums, clock=lambda: 7200.5)
    for away in (True, True, False):
        ledger.add(Caller("acme"), "base", Usage(5, 2), background=False)
        sums.away = away
        ledger.flush()
    assert sums.entries == [
        (UsageKey(hour=7200, tenant_id="acme", model="base"), Amounts(3, 15, 0, 6))
    ]


async def test_what_is_left_is_written_at_the_end() -> None:
    sums = Sums()
    ledger = Ledger(sums, clock=lambda: 0.0)
    running = asyncio.create_task(ledger.run())
    await asyncio.sleep(0)
    ledger.add(Caller("acme"), "base", Usage(5, 2), background=True)
    running.cancel()
    await asyncio.wait({running})
    assert [amounts.requests for _, amounts in sums.entries] == [1]


def test_who_wants_the_running_counts_gets_them() -> None:
    event = b'data: {"choices":[{"index":0}],"usage":{"prompt_tokens":5,"completion_tokens":1}}\n\n'
    assert StreamUsage(passed=True, running=True).feed(event) == event
    assert b"usage" not in StreamUsage(passed=True).feed(event)


def test_a_broken_stream_of_several_choices_counts_each() -> None:
    stream = StreamUsage(passed=False)
    for index, tokens in ((0, 1), (1, 1), (0, 2)):
        usage = b'{"prompt_tokens":5,"total_tokens":6,"completion_tokens":%d}' % tokens
        stream.feed(b'data: {"choices":[{"index":%d}],"usage":%s}\n\n' % (index, usage))
    assert stream.usage == Usage(5, 3)
