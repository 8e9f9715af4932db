"""A tenant's webhook endpoints, as the stock client manages them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from openai import BadRequestError, NotFoundError, PermissionDeniedError

from tests.engines import ScriptedEngine
from tests.receivers import Receiver, answering
from tests.rows import a_job
from tunery_server.config import Settings
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import EventType
from tunery_server.records.webhooks import EndpointRecords
from tunery_server.webhooks.service import MOST

from .composed import Gateway
from .conftest import composed

ENDED = "fine_tuning.job.succeeded"
URL = "https://hooks.example.com/in"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def sending_gateway(
    settings: Settings, engine: ScriptedEngine, migrated: Path, receiver: Receiver
) -> Gateway:
    """A gateway whose operator allows a host by name, and the receiver."""
    hosts = ("hooks.example.com", receiver.host)
    return composed(settings.model_copy(update={"webhook_hosts": hosts}), engine, migrated)


async def test_the_stock_client_manages_endpoints(sending_gateway: Gateway) -> None:
    async with sending_gateway.openai() as client:
        made = await client.webhooks.create(name="ours", url=URL, event_types=[ENDED])
        assert made.signing_secret.startswith("whsec_")
        assert (made.name, made.url, made.event_types) == ("ours", URL, [ENDED])
        again = await client.webhooks.retrieve(made.id)
        [listed] = [endpoint async for endpoint in client.webhooks.list()]
        assert again == listed
        deleted = await client.webhooks.delete(made.id)
        assert (deleted.id, deleted.deleted) == (made.id, True)
        with pytest.raises(NotFoundError):
            await client.webhooks.retrieve(made.id)


async def test_a_secret_is_shown_once(sending_gateway: Gateway) -> None:
    async with sending_gateway.http() as http, sending_gateway.openai() as client:
        made = await client.webhooks.create(name="ours", url=URL, event_types=[ENDED])
        for path in ("/v1/webhook_endpoints", f"/v1/webhook_endpoints/{made.id}"):
            text = (await http.get(path)).text
            assert made.id in text
            assert made.signing_secret not in text
            assert "whsec" not in text


async def test_a_create_that_is_sent_again_makes_one_endpoint_with_a_new_secret(
    sending_gateway: Gateway,
) -> None:
    body = {"name": "ours", "url": URL, "event_types": [ENDED]}
    async with sending_gateway.http() as http:
        first, second = [
            (
                await http.post(
                    "/v1/webhook_endpoints", json=body, headers={"Idempotency-Key": "one"}
                )
            ).json()
            for _ in range(2)
        ]
    assert first["id"] == second["id"]
    assert first["signing_secret"] != second["signing_secret"]
    [stored] = EndpointRecords(sending_gateway.database).all()
    assert stored.secret == second["signing_secret"]


async def test_event_types_are_those_that_are_sent(sending_gateway: Gateway) -> None:
    async with sending_gateway.openai() as client:
        types = await client.webhooks.event_types.list()
    assert types.data == [type.value for type in EventType]


async def test_pages(sending_gateway: Gateway) -> None:
    async with sending_gateway.openai() as client:
        made = [
            (await client.webhooks.create(name=str(n), url=URL, event_types=[ENDED])).id
            for n in range(5)
        ]
        listed = [endpoint.id async for endpoint in client.webhooks.list(limit=2)]
        assert sorted(listed) == sorted(made)
        with pytest.raises(BadRequestError) as raised:
            await client.webhooks.list(after="we_none")
    assert raised.value.param == "after"


async def test_another_tenants_endpoint_is_an_absent_one(sending_gateway: Gateway) -> None:
    async with (
        sending_gateway.openai() as ours,
        sending_gateway.openai(sending_gateway.rival_key) as rival,
    ):
        made = await ours.webhooks.create(name="ours", url=URL, event_types=[ENDED])
        assert [endpoint async for endpoint in rival.webhooks.list()] == []
        for call in (
            rival.webhooks.retrieve(made.id),
            rival.webhooks.delete(made.id),
            rival.webhooks.test(made.id, event_type=ENDED),
        ):
            with pytest.raises(NotFoundError):
                await call
        await ours.webhooks.retrieve(made.id)


async def test_a_key_without_the_scope_for_jobs_is_refused(sending_gateway: Gateway) -> None:
    key = sending_gateway.new_key("inference", "files", "adapters")
    async with sending_gateway.openai(key) as client:
        for call in (
            client.webhooks.create(name="ours", url=URL, event_types=[ENDED]),
            client.webhooks.list(),
            client.webhooks.event_types.list(),
        ):
            with pytest.raises(PermissionDeniedError):
                await call


async def test_webhooks_are_off_unless_a_host_is_allowed(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        with pytest.raises(PermissionDeniedError) as raised:
            await client.webhooks.create(name="ours", url=URL, event_types=[ENDED])
        assert raised.value.code == "webhooks_disabled"
        assert (await client.webhooks.list()).data == []


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"url": "https://example.com/"}, "destination_not_allowed", "url"),
        ({"url": "http://hooks.example.com/"}, "destination_not_allowed", "url"),
        ({"url": "http://169.254.169.254/"}, "destination_not_allowed", "url"),
        ({"url": "http://[::ffff:127.0.0.1]/"}, "destination_not_allowed", "url"),
        ({"url": "file:///etc/passwd"}, "destination_not_allowed", "url"),
        ({"url": "https://hooks.example.com/\0"}, "destination_not_allowed", "url"),
        ({"url": ""}, "string_below_min_length", "url"),
        ({"url": URL + 3000 * "a"}, "string_above_max_length", "url"),
        ({"url": 1}, "invalid_type", "url"),
        ({"name": ""}, "string_below_min_length", "name"),
        ({"name": 257 * "a"}, "string_above_max_length", "name"),
        ({"name": "\0"}, "invalid_value", "name"),
        ({"event_types": []}, "empty_array", "event_types"),
        ({"event_types": ["response.completed"]}, "invalid_value", "event_types[0]"),
        ({"event_types": [1]}, "invalid_value", "event_types[0]"),
        ({"event_types": ENDED}, "invalid_type", "event_types"),
        ({"event_types": 33 * [ENDED]}, "array_above_max_length", "event_types"),
        ({"secret": "whsec_AAAA"}, "unknown_parameter", "secret"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    sending_gateway: Gateway, receiver: Receiver, change: dict[str, object], code: str, param: str
) -> None:
    body = {"name": "ours", "url": URL, "event_types": [ENDED], **change}
    async with sending_gateway.http() as http:
        response = await http.post("/v1/webhook_endpoints", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, code, param)
    assert EndpointRecords(sending_gateway.database).all() == ()
    assert receiver.connections == 0


async def test_a_tenant_has_only_so_many(sending_gateway: Gateway) -> None:
    async with sending_gateway.openai() as client:
        for _ in range(MOST):
            await client.webhooks.create(name="ours", url=URL, event_types=[ENDED])
        with pytest.raises(BadRequestError) as raised:
            await client.webhooks.create(name="ours", url=URL, event_types=[ENDED])
    assert raised.value.code == "too_many_endpoints"


@pytest.mark.parametrize("status", [200, 500])
async def test_a_test_says_what_the_endpoint_answered(
    sending_gateway: Gateway, receiver: Receiver, status: int
) -> None:
    receiver.respond = answering(status)
    async with sending_gateway.openai() as client:
        made = await client.webhooks.create(name="ours", url=receiver.url, event_types=[ENDED])
        result = await client.webhooks.test(made.id, event_type="batch.failed")
        [got] = receiver.received
        event = client.webhooks.unwrap(got.body, got.headers, secret=made.signing_secret)
    assert (result.status_code, result.event_type) == (status, "batch.failed")
    assert event.type == "batch.failed"


async def test_a_test_of_an_endpoint_that_is_not_there_says_so(
    sending_gateway: Gateway, receiver: Receiver
) -> None:
    async with sending_gateway.openai() as client:
        made = await client.webhooks.create(name="ours", url=receiver.url, event_types=[ENDED])
        await receiver.__aexit__()
        with pytest.raises(BadRequestError) as raised:
            await client.webhooks.test(made.id, event_type=ENDED)
    assert raised.value.code == "endpoint_unreachable"


async def test_a_cancelled_job_is_told_by_the_running_gateway(
    sending_gateway: Gateway, receiver: Receiver
) -> None:
    job = a_job()
    JobRecords(sending_gateway.database).add(job)
    async with sending_gateway.running(), sending_gateway.openai() as client:
        made = await client.webhooks.create(
            name="ours", url=receiver.url, event_types=["fine_tuning.job.cancelled"]
        )
        for _ in range(2):
            await client.fine_tuning.jobs.cancel(job.id)
        async with asyncio.timeout(10):
            while not receiver.received:  # noqa: ASYNC110 - of another server
                await asyncio.sleep(0.01)
        [got] = receiver.received
        event = client.webhooks.unwrap(got.body, got.headers, secret=made.signing_secret)
    assert (event.type, event.data.id) == ("fine_tuning.job.cancelled", job.id)  # type: ignore[union-attr]


async def test_what_waits_is_counted(sending_gateway: Gateway, receiver: Receiver) -> None:
    job = a_job()
    JobRecords(sending_gateway.database).add(job)
    async with sending_gateway.openai() as client, sending_gateway.http() as http:
        await client.webhooks.create(
            name="ours", url=receiver.url, event_types=["fine_tuning.job.cancelled"]
        )
        await client.fine_tuning.jobs.cancel(job.id)
        assert "tunery_webhooks_pending 1.0" in (await http.get("/metrics")).text
