"""Batches from their claim to their end, whatever happens in between."""

import asyncio
from typing import Any

import pytest

from tests.rows import NOW
from tunery_server.batches.results import LineAnswer
from tunery_server.batches.runner import RETRY_S
from tunery_server.batches.transitions import UNFINISHED
from tunery_server.batches.turns import Turns
from tunery_server.errors import EngineUnavailable, StorageFull
from tunery_server.records.rows import Batch, BatchStatus

from .conftest import LEASE_S, Shop, until

REFUSED = LineAnswer(400, {"error": {"code": "invalid_value"}})
FAILED = LineAnswer(503, {"error": {"code": "engine_error"}})
CANCEL = {"status": BatchStatus.CANCELLING, "cancelling_at": NOW + 1}


def names(*numbers: int) -> set[str]:
    return {f"line-{number}" for number in numbers}


def leftovers(shop: Shop) -> frozenset[str]:
    return shop.bench.parts.batch_ids()


async def test_a_thousand_lines_have_one_result_each(shop: Shop) -> None:
    shop.answers.script = lambda number: REFUSED if number % 100 == 7 else None
    batch = await shop.run(shop.submit(1000))
    assert batch.status is BatchStatus.COMPLETED
    assert (batch.total, batch.completed, batch.failed) == (1000, 990, 10)
    assert batch.usage == {"input": 2970, "cached": 0, "output": 1980, "reasoning": 0}
    assert batch.in_progress_at == batch.finalizing_at == batch.completed_at == NOW
    good, bad = shop.results(batch)
    assert set(bad) == names(*range(7, 1000, 100))
    assert set(good) | set(bad) == names(*range(1000))
    assert sorted(shop.answers.numbers()) == list(range(1000))


async def test_a_result_says_what_a_client_would_have_got(shop: Shop) -> None:
    shop.answers.script = lambda number: REFUSED if number else None
    good, bad = shop.results(await shop.run(shop.submit(2)))
    row = good["line-0"]
    assert row["id"].startswith("batch_req_")
    assert row["error"] is None
    assert row["response"]["status_code"] == 200
    assert row["response"]["request_id"].startswith("req_")
    assert row["response"]["body"]["number"] == 0
    assert bad["line-1"]["response"]["status_code"] == 400
    assert bad["line-1"]["response"]["body"] == REFUSED.body
    assert bad["line-1"]["error"] is None


async def test_a_bad_file_fails_and_no_line_is_run(shop: Shop) -> None:
    batch = await shop.run(shop.submit_text('{"custom_id": "a"}\n{]\n'))
    assert (batch.status, batch.failed_at) == (BatchStatus.FAILED, NOW)
    assert [(error["line"], error["code"]) for error in batch.errors] == [
        (1, "missing_required_parameter"),
        (2, "invalid_json_line"),
    ]
    assert (batch.output_file, batch.error_file, shop.answers.asked) == (None, None, [])


async def test_results_expire_as_asked_for(shop: Shop) -> None:
    batch = await shop.run(shop.submit(1, output_expires_after_s=3600))
    assert batch.output_file is not None
    assert shop.files.get("acme", batch.output_file).expires_at == NOW + 3600


async def test_an_absent_engine_is_waited_for(shop: Shop) -> None:
    tries: dict[int, int] = {}

    def away(number: int) -> LineAnswer | Exception | None:
        tries[number] = tries.get(number, 0) + 1
        return EngineUnavailable("away") if tries[number] <= 20 else None

    shop.answers.script = away
    batch = await shop.run(shop.submit(3))
    assert (batch.completed, batch.failed) == (3, 0)
    assert shop.pauses.count(0.5) == 3
    assert max(shop.pauses) == 30


async def test_an_engine_that_fails_on_a_line_time_and_again_ends_that_line(shop: Shop) -> None:
    shop.answers.script = lambda number: FAILED if number == 1 else None
    batch = await shop.run(shop.submit(3))
    assert (batch.status, batch.completed, batch.failed) == (BatchStatus.COMPLETED, 2, 1)
    assert shop.answers.numbers().count(1) == 5
    assert shop.results(batch)[1]["line-1"]["response"]["body"] == FAILED.body


async def test_a_gateway_that_stops_gives_its_batch_to_the_next(shop: Shop) -> None:
    batch = shop.submit(20)
    shop.answers.stop_before = 8
    async with shop.running():
        await asyncio.wait_for(shop.answers.stopped.wait(), 20)
        await until(lambda: shop.now(batch).completed == 8)
    assert shop.now(batch).status is BatchStatus.IN_PROGRESS
    shop.answers.stop_before = None
    ended = await shop.run(batch)
    assert (ended.status, ended.completed, ended.attempt) == (BatchStatus.COMPLETED, 20, 2)
    assert sorted(shop.answers.numbers()) == list(range(20)), "no line was run twice"
    assert set(shop.results(ended)[0]) == names(*range(20))


async def test_a_gateway_that_lost_its_batch_adds_nothing(shop: Shop) -> None:
    """The first one is frozen: its clock stands, and it looks at nothing until it is too late."""
    batch = shop.submit(12)
    shop.answers.stop_before = 5
    async with shop.running(clock=lambda: NOW, look_s=3600):
        await asyncio.wait_for(shop.answers.stopped.wait(), 20)
        await asyncio.sleep(0.05)
        shop.clock.now += LEASE_S + 1
        shop.answers.stop_before = None
        async with shop.running(turns=Turns(4)):
            ended = await shop.ended(batch)
            published = shop.results(ended)
            shop.answers.go.set()
            await asyncio.sleep(0.2)
    assert (ended.status, ended.attempt, ended.completed) == (BatchStatus.COMPLETED, 2, 12)
    assert set(published[0]) == names(*range(12))
    assert shop.now(batch) == ended
    assert shop.results(ended) == published
    listed = shop.files.list("acme", purpose="batch_output", after=None, limit=9, ascending=True)
    assert [file.id for file in listed.items] == [ended.output_file]


async def test_of_two_gateways_one_holds_a_batch(shop: Shop) -> None:
    batches = [shop.submit(10) for _ in range(6)]
    async with shop.running(), shop.running(turns=Turns(4)):
        ended = [await shop.ended(batch) for batch in batches]
    assert [batch.attempt for batch in ended] == [1] * 6
    assert len(shop.answers.asked) == 60


async def test_cancelling_keeps_the_results_that_there_are(shop: Shop) -> None:
    batch = shop.submit(20)
    shop.answers.stop_before = 6
    async with shop.running():
        await asyncio.wait_for(shop.answers.stopped.wait(), 20)
        await until(lambda: shop.now(batch).completed == 6)
        shop.bench.batches.change(batch.id, allowed=UNFINISHED, **CANCEL)
        ended = await shop.ended(batch)
        await until(lambda: not leftovers(shop))
    assert (ended.status, ended.cancelled_at) == (BatchStatus.CANCELLED, NOW)
    assert (ended.total, ended.completed, ended.error_file) == (20, 6, None)
    assert set(shop.results(ended)[0]) == names(*range(6))


async def test_a_batch_that_was_cancelled_in_line_runs_nothing(shop: Shop) -> None:
    batch = await shop.run(shop.submit(3, status=BatchStatus.CANCELLING))
    assert (batch.status, batch.output_file, batch.error_file) == (
        BatchStatus.CANCELLED,
        None,
        None,
    )
    assert shop.answers.asked == []


async def test_a_cancel_during_the_publishing_publishes_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, publish = shop.submit(3), shop.bench.publisher.publish

    def interrupted(*arguments: Any) -> Any:
        shop.bench.batches.change(batch.id, allowed={BatchStatus.FINALIZING}, **CANCEL)
        return publish(*arguments)

    monkeypatch.setattr(shop.bench.publisher, "publish", interrupted)
    ended = await shop.run(batch)
    assert ended.status is BatchStatus.CANCELLED
    assert set(shop.results(ended)[0]) == names(0, 1, 2)
    assert ended.output_file is not None
    folder = shop.bench.input_path(ended.output_file).parent
    kept = {path.name for path in folder.iterdir()}
    assert kept == {ended.output_file, batch.input_file}


async def test_an_expired_batch_says_so_for_every_line_that_was_not_run(shop: Shop) -> None:
    batch = shop.submit(20)
    shop.answers.stop_before = 6
    async with shop.running():
        await asyncio.wait_for(shop.answers.stopped.wait(), 20)
        await until(lambda: shop.now(batch).completed == 6)
        shop.clock.now = batch.expires_at
        ended = await shop.ended(batch)
    assert (ended.status, ended.expired_at) == (BatchStatus.EXPIRED, batch.expires_at)
    assert (ended.completed, ended.failed) == (6, 14)
    good, bad = shop.results(ended)
    assert (set(good), set(bad)) == (names(*range(6)), names(*range(6, 20)))
    assert bad["line-19"]["response"] is None
    assert bad["line-19"]["error"]["code"] == "batch_expired"


async def test_a_batch_that_nobody_ran_in_time_expires(shop: Shop) -> None:
    batch = shop.submit(3)
    shop.clock.now = batch.expires_at + 1
    shop.answers.stop_before = 0
    ended = await shop.run(batch)
    assert (ended.status, ended.total, ended.failed) == (BatchStatus.EXPIRED, 3, 3)
    assert set(shop.results(ended)[1]) == names(0, 1, 2)


async def test_tenants_take_turns_however_many_batches_one_has(shop: Shop) -> None:
    big = [shop.submit(30) for _ in range(3)]
    shop.answers.stop_before = 0
    async with shop.running(turns=Turns(1)):
        await asyncio.wait_for(shop.answers.stopped.wait(), 20)
        small = shop.submit(10, tenant="rival")
        await shop.reached(small, BatchStatus.IN_PROGRESS)
        await asyncio.sleep(0.05)
        shop.answers.go.set()
        await shop.ended(small)
        await until(lambda: any(shop.now(batch).status is BatchStatus.COMPLETED for batch in big))
    tenants = [tenant for tenant, _ in shop.answers.asked]
    last = len(tenants) - tenants[::-1].index("rival")
    assert tenants[:last].count("acme") <= 10 + 2, "every other turn was the small tenant's"


async def test_a_full_disk_is_waited_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, publish = shop.submit(3), shop.bench.publisher.publish
    full = [True]

    def failing(*arguments: Any) -> Any:
        if full:
            full.clear()
            raise StorageFull("There is no room left for this file.")
        return publish(*arguments)

    monkeypatch.setattr(shop.bench.publisher, "publish", failing)
    async with shop.running():
        await until(lambda: not full)
        await asyncio.sleep(0.05)
        assert shop.now(batch).status is BatchStatus.FINALIZING
        shop.clock.now += RETRY_S + 1
        ended = await shop.ended(batch)
    assert (ended.status, ended.completed) == (BatchStatus.COMPLETED, 3)
    assert sorted(shop.answers.numbers()) == [0, 1, 2]


async def test_what_fails_beyond_its_time_has_failed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(shop.bench.publisher, "publish", failing)
    batch = shop.submit(1)
    shop.clock.now = batch.expires_at
    ended = await shop.run(batch)
    assert ended.status is BatchStatus.FAILED
    assert ended.errors[0]["code"] == "server_error"
    assert "secret" not in str(ended)


async def test_what_an_ended_batch_left_is_swept(shop: Shop) -> None:
    going_on: Batch = shop.submit(1, status=BatchStatus.IN_PROGRESS, leased_until=NOW + 1000)
    shop.bench.parts.begin("batch_gone", 1)
    shop.bench.parts.begin(going_on.id, 1)
    await shop.run(shop.submit(1))
    assert leftovers(shop) == {going_on.id}


async def test_a_record_that_does_not_answer_is_asked_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    unleased, failures = shop.bench.batches.unleased, [OSError(), OSError()]

    def failing(*arguments: Any, **named: Any) -> Any:
        if failures:
            raise failures.pop()
        return unleased(*arguments, **named)

    monkeypatch.setattr(shop.bench.batches, "unleased", failing)
    assert (await shop.run(shop.submit(2))).status is BatchStatus.COMPLETED
