"""From the record to a receiver, whatever happens on the way. Time is set, not waited for."""

import asyncio
import time
from collections.abc import Callable

import pytest
from openai import OpenAI
from structlog.testing import capture_logs

from tests.receivers import Receiver, answering, hanging
from tests.rows import NOW, an_endpoint
from tunery_server.records.database import Database
from tunery_server.records.outbox import Outbox
from tunery_server.records.rows import EventType, WebhookEndpoint
from tunery_server.records.webhooks import EndpointRecords, add_event
from tunery_server.webhooks.destinations import Destinations
from tunery_server.webhooks.poster import Poster
from tunery_server.webhooks.sender import AT_ONCE, CLAIM_S, KEPT_S, TRIED_S, Sender, delay_s

from .conftest import SetClock

SenderTo = Callable[..., Sender]


@pytest.fixture
def sender_to(outbox: Outbox, endpoints: EndpointRecords, clock: SetClock) -> SenderTo:
    """A sender that may send to some receivers."""

    def make(*receivers: Receiver, timeout_s: float = 5.0) -> Sender:
        destinations = Destinations.of(receiver.host for receiver in receivers)
        return Sender(
            outbox=outbox,
            endpoints=endpoints,
            poster=Poster(destinations, timeout_s=timeout_s),
            clock=clock,
            chance=lambda: 0.5,
        )

    return make


@pytest.fixture
def endpoint(endpoints: EndpointRecords, receiver: Receiver) -> WebhookEndpoint:
    return registered(endpoints, receiver)


def registered(endpoints: EndpointRecords, receiver: Receiver) -> WebhookEndpoint:
    endpoint = an_endpoint(url=receiver.url + "/t0ken")
    endpoints.add(endpoint)
    return endpoint


def tell(database: Database, object_id: str = "ftjob-1", *, at: float = NOW) -> None:
    with database.writing() as connection:
        add_event(connection, "acme", EventType.JOB_SUCCEEDED, object_id, at)


async def sent(sender: Sender) -> None:
    """What is due was sent, once."""
    await sender.look()
    await sender.settled()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of another server and of the record
            await asyncio.sleep(0.01)


async def test_an_event_arrives_once_and_signed(
    sender_to: SenderTo,
    receiver: Receiver,
    endpoint: WebhookEndpoint,
    database: Database,
    clock: SetClock,
) -> None:
    clock.now = time.time()
    tell(database, at=clock.now)
    sender = sender_to(receiver)
    for _ in range(3):
        await sent(sender)
        clock.now += 1e5
    [got] = receiver.received
    client = OpenAI(api_key="none")
    event = client.webhooks.unwrap(got.body, got.headers, secret=endpoint.secret)
    assert (event.type, event.data.id) == ("fine_tuning.job.succeeded", "ftjob-1")  # type: ignore[union-attr]


async def test_a_receiver_that_was_down_gets_it_when_it_is_up_again(
    sender_to: SenderTo,
    endpoints: EndpointRecords,
    outbox: Outbox,
    database: Database,
    clock: SetClock,
) -> None:
    async with Receiver() as receiver:
        registered(endpoints, receiver)
        sender, port = sender_to(receiver), receiver.port
    tell(database)
    await sent(sender)
    async with Receiver(port=port) as receiver:
        clock.now += 4.9
        await sent(sender)
        assert receiver.received == []
        clock.now += 0.1
        await sent(sender)
        [got] = receiver.received
    assert got.headers["webhook-timestamp"] == str(int(NOW + 5))
    assert outbox.count_pending() == 0


@pytest.mark.parametrize("respond", [answering(500), answering(302), answering(429), hanging])
async def test_failures_are_repeated_ever_more_seldom_under_one_id_for_three_days(
    sender_to: SenderTo,
    receiver: Receiver,
    endpoint: WebhookEndpoint,
    outbox: Outbox,
    database: Database,
    clock: SetClock,
    respond: object,
) -> None:
    receiver.respond = respond  # type: ignore[assignment]
    sender = sender_to(receiver, timeout_s=0.1)
    tell(database)
    for number, wait in enumerate((0, 5, 30, 180, 1080, 6480, *11 * [21_600]), start=1):
        clock.now += wait - 0.01
        await sent(sender)
        assert len(receiver.received) == number - 1
        clock.now += 0.01
        await sent(sender)
        assert len(receiver.received) == number
    assert NOW + TRIED_S - 21_600 < clock.now < NOW + TRIED_S
    assert outbox.count_pending() == 0
    assert len({got.headers["webhook-id"] for got in receiver.received}) == 1
    assert len({got.body for got in receiver.received}) == 1
    assert len({got.headers["webhook-signature"] for got in receiver.received}) == 17


def test_what_failed_together_comes_back_apart() -> None:
    assert [delay_s(1, chance) for chance in (0.0, 0.5, 1.0)] == pytest.approx([4.0, 5.0, 6.0])
    assert delay_s(10_000, 0.5) == 6 * 3600


async def test_an_endpoint_that_is_gone_is_asked_no_more(
    sender_to: SenderTo,
    receiver: Receiver,
    endpoint: WebhookEndpoint,
    endpoints: EndpointRecords,
    outbox: Outbox,
    database: Database,
    clock: SetClock,
) -> None:
    receiver.respond = answering(410)
    sender = sender_to(receiver)
    tell(database)
    await sent(sender)
    tell(database)
    clock.now += 1e5
    await sent(sender)
    assert len(receiver.received) == 1
    now = endpoints.get("acme", endpoint.id)
    assert now is not None
    assert now.disabled_at == NOW
    assert outbox.count_pending() == 0


async def test_a_slow_receiver_holds_up_nobody_else(
    sender_to: SenderTo, receiver: Receiver, endpoints: EndpointRecords, database: Database
) -> None:
    receiver.respond = hanging
    registered(endpoints, receiver)
    async with Receiver() as quick:
        registered(endpoints, quick)
        for number in range(5):
            tell(database, f"ftjob-{number}")
        running = asyncio.create_task(sender_to(receiver, quick).run())
        await until(lambda: len(quick.received) == 5)
        running.cancel()
        await asyncio.wait({running})
    assert receiver.connections == 1


async def test_only_so_many_are_on_their_way_at_once(
    sender_to: SenderTo, receiver: Receiver, endpoints: EndpointRecords, database: Database
) -> None:
    receiver.respond = hanging
    for _ in range(AT_ONCE + 5):
        registered(endpoints, receiver)
    tell(database)
    sender = sender_to(receiver)
    running = asyncio.create_task(sender.run())
    await until(lambda: receiver.connections == AT_ONCE)
    await sender.look()
    assert receiver.connections == AT_ONCE
    running.cancel()
    await asyncio.wait({running})


async def test_what_a_dead_sender_had_claimed_is_sent_by_the_next(
    sender_to: SenderTo,
    receiver: Receiver,
    endpoint: WebhookEndpoint,
    outbox: Outbox,
    database: Database,
    clock: SetClock,
) -> None:
    tell(database)
    [claimed] = outbox.claim(now=NOW, until=NOW + CLAIM_S, limit=1)
    sender = sender_to(receiver)
    await sent(sender)
    assert receiver.received == []
    clock.now += CLAIM_S
    await sent(sender)
    [got] = receiver.received
    assert got.headers["webhook-id"] == claimed.event_id


async def test_a_sender_that_is_stopped_leaves_nothing_behind(
    sender_to: SenderTo, receiver: Receiver, endpoint: WebhookEndpoint, database: Database
) -> None:
    receiver.respond = hanging
    tell(database)
    before = asyncio.all_tasks()
    running = asyncio.create_task(sender_to(receiver).run())
    await until(lambda: receiver.connections == 1)
    running.cancel()
    await asyncio.wait({running})
    receiver.close_all()
    await until(lambda: asyncio.all_tasks() <= before)


async def test_an_endpoint_that_is_no_longer_allowed_gets_nothing(
    sender_to: SenderTo,
    receiver: Receiver,
    endpoint: WebhookEndpoint,
    outbox: Outbox,
    database: Database,
) -> None:
    tell(database)
    async with Receiver() as other:
        await sent(sender_to(other))
    assert receiver.connections == 0
    assert outbox.count_pending() == 1


async def test_a_failing_record_does_not_end_the_sender(
    sender_to: SenderTo,
    receiver: Receiver,
    endpoint: WebhookEndpoint,
    outbox: Outbox,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tell(database)
    real, calls = outbox.claim, 0

    def fail_at_first(**values: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("disk I/O error")
        return real(**values)  # type: ignore[arg-type]

    monkeypatch.setattr(outbox, "claim", fail_at_first)
    running = asyncio.create_task(sender_to(receiver).run())
    await until(lambda: bool(receiver.received))
    running.cancel()
    await asyncio.wait({running})


async def test_deliveries_are_forgotten_after_a_week(
    sender_to: SenderTo,
    receiver: Receiver,
    endpoints: EndpointRecords,
    outbox: Outbox,
    database: Database,
    clock: SetClock,
) -> None:
    sender = sender_to(receiver)
    await sent(sender)
    endpoint = registered(endpoints, receiver)
    tell(database)
    endpoints.disable(endpoint.id, now=NOW)
    clock.now += KEPT_S
    await sent(sender)
    assert outbox.count_pending() == 1
    clock.now += 3600
    await sent(sender)
    assert outbox.count_pending() == 0


@pytest.mark.parametrize("status", [200, 410, 500])
async def test_no_log_tells_the_url_or_the_secret(
    sender_to: SenderTo,
    receiver: Receiver,
    endpoint: WebhookEndpoint,
    database: Database,
    status: int,
) -> None:
    receiver.respond = answering(status, "Location: http://t0ken/")
    tell(database)
    with capture_logs() as logs:
        await sent(sender_to(receiver))
    assert logs[0]["endpoint_id"] == endpoint.id
    assert logs[0]["status"] == status
    assert "t0ken" not in str(logs)
    assert endpoint.secret.removeprefix("whsec_") not in str(logs)
