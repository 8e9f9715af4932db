"""Limits on real servers: exact whoever asks, and honest about the wait."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable

import pytest
import redis.asyncio

from tunery_server.errors import LimitsUnavailable
from tunery_server.limits.contract import Grant, Limits, Refusal, Standing, Subject
from tunery_server.limits.redis_limiter import RedisLimiter

MakeLimiter = Callable[..., RedisLimiter]

_prefixes = (f"{{limits-{number}}}" for number in itertools.count())


@pytest.fixture
async def make_limiter(server: object, queue_url: str) -> AsyncIterator[MakeLimiter]:
    """Limiters of several gateways, each with connections of its own."""
    prefix, clients = next(_prefixes), []

    def make(lease_s: float = 30.0) -> RedisLimiter:
        clients.append(redis.asyncio.Redis.from_url(queue_url))
        return RedisLimiter(clients[-1], lease_s=lease_s, prefix=prefix)

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
def limiter(make_limiter: MakeLimiter) -> RedisLimiter:
    return make_limiter()


def a_subject(name: str = "tenant:acme", **limits: int) -> Subject:
    return Subject(name, Limits(**limits))


async def granted(limiter: RedisLimiter, *subjects: Subject, tokens: int = 0) -> Grant:
    leave, _ = await limiter.take(subjects, tokens=tokens)
    assert isinstance(leave, Grant)
    return leave


async def refused(limiter: RedisLimiter, *subjects: Subject, tokens: int = 0) -> Refusal:
    leave, _ = await limiter.take(subjects, tokens=tokens)
    assert isinstance(leave, Refusal)
    return leave


async def standing(limiter: RedisLimiter, *subjects: Subject, tokens: int = 0) -> Standing:
    return (await limiter.take(subjects, tokens=tokens))[1]


@pytest.mark.promise("P24", fault="100 at once through two limiters, each kind of limit")
@pytest.mark.parametrize(
    "limit", ["requests_per_minute", "tokens_per_minute", "concurrent_requests"]
)
async def test_a_hundred_at_once_through_two_gateways_get_exactly_the_limit(
    make_limiter: MakeLimiter, limit: str
) -> None:
    gateways = [make_limiter(), make_limiter()]
    subject, tokens = a_subject(**{limit: 10}), int(limit == "tokens_per_minute")
    asked = (gateway.take([subject], tokens=tokens) for _ in range(50) for gateway in gateways)
    leaves = [leave for leave, _ in await asyncio.gather(*asked)]
    assert sum(isinstance(leave, Grant) for leave in leaves) == 10
    assert {leave.limit for leave in leaves if isinstance(leave, Refusal)} == {limit}


@pytest.mark.promise("P24", fault="a gateway restarts after each request")
async def test_another_gateway_after_a_restart_goes_on_counting(make_limiter: MakeLimiter) -> None:
    subject = a_subject(requests_per_minute=10)
    for _ in range(10):
        await granted(make_limiter(), subject)
    assert (await refused(make_limiter(), subject)).limit == "requests_per_minute"


@pytest.mark.promise("P24", fault="a request at the very moment that Retry-After named")
async def test_a_request_after_the_promised_wait_passes(limiter: RedisLimiter) -> None:
    subject = a_subject(tokens_per_minute=6000)  # ten come back each tenth of a second
    await granted(limiter, subject, tokens=6000)
    wait_s = (await refused(limiter, subject, tokens=10)).wait_s
    assert wait_s is not None
    assert 0 < wait_s <= 0.1
    await asyncio.sleep(wait_s)  # the promise is what is tested
    await granted(limiter, subject, tokens=10)


async def test_what_one_subject_refuses_costs_the_other_nothing(limiter: RedisLimiter) -> None:
    key = a_subject("key:one", requests_per_minute=1)
    tenant = a_subject(requests_per_minute=10, tokens_per_minute=1000)
    await granted(limiter, key, tenant, tokens=100)
    for _ in range(3):
        assert (await refused(limiter, key, tenant, tokens=100)).limit == "requests_per_minute"
    left = await standing(limiter, tenant)
    assert left.requests is not None
    assert left.tokens is not None
    assert (left.requests.remaining, left.tokens.remaining) == (8, 900)


async def test_the_tightest_subject_is_what_a_caller_hears_of(limiter: RedisLimiter) -> None:
    key = a_subject("key:one", requests_per_minute=5)
    tenant = a_subject(requests_per_minute=60, tokens_per_minute=600)
    left = await standing(limiter, key, tenant, tokens=100)
    assert left.requests is not None
    assert left.tokens is not None
    assert (left.requests.limit, left.requests.remaining) == (5, 4)
    assert left.requests.reset_s == pytest.approx(12, abs=0.01)
    assert (left.tokens.limit, left.tokens.remaining) == (600, 500)
    assert left.tokens.reset_s == pytest.approx(10, abs=0.01)


async def test_what_was_reserved_and_not_taken_comes_back(limiter: RedisLimiter) -> None:
    subject = a_subject(tokens_per_minute=1000)
    grant = await granted(limiter, subject, tokens=900)
    assert (await refused(limiter, subject, tokens=200)).limit == "tokens_per_minute"
    for _ in range(2):  # the second one changes nothing
        await limiter.settle(grant, tokens=100)
    left = await standing(limiter, subject, tokens=200)
    assert left.tokens is not None
    assert 700 <= left.tokens.remaining <= 710


async def test_what_was_taken_beyond_the_reservation_is_charged(limiter: RedisLimiter) -> None:
    subject = a_subject(tokens_per_minute=1000)
    grant = await granted(limiter, subject, tokens=100)
    await limiter.settle(grant, tokens=1500)
    refusal = await refused(limiter, subject, tokens=1)
    assert refusal.wait_s == pytest.approx(30, abs=1)


async def test_no_wait_lets_a_request_through_that_is_larger_than_the_limit(
    limiter: RedisLimiter,
) -> None:
    subject = a_subject(requests_per_minute=1, tokens_per_minute=1000)
    await granted(limiter, subject)
    assert await refused(limiter, subject, tokens=1001) == Refusal("tokens_per_minute", None)


async def test_a_settled_request_makes_room_at_once(limiter: RedisLimiter) -> None:
    subject = a_subject(concurrent_requests=1)
    grant = await granted(limiter, subject)
    await refused(limiter, subject)
    await limiter.settle(grant, tokens=0)
    await granted(limiter, subject)


@pytest.mark.promise("P24", fault="a gateway dies amid a request")
async def test_a_gateway_that_died_holds_no_place_for_longer_than_a_lease(
    make_limiter: MakeLimiter,
) -> None:
    subject = a_subject(concurrent_requests=1)
    await granted(make_limiter(lease_s=0.05), subject)
    other = make_limiter(lease_s=0.05)
    deadline = time.monotonic() + 5
    while isinstance((await other.take([subject], tokens=0))[0], Refusal):
        assert time.monotonic() < deadline


async def test_a_living_gateways_long_request_keeps_its_place(make_limiter: MakeLimiter) -> None:
    subject = a_subject(concurrent_requests=1)
    living = make_limiter(lease_s=0.2)
    await granted(living, subject)
    ends = time.monotonic() + 0.5
    while time.monotonic() < ends:
        await living.renew()
        await asyncio.sleep(0.02)
        await refused(make_limiter(lease_s=0.2), subject)


async def test_no_limits_need_no_redis() -> None:
    async with redis.asyncio.Redis.from_url("unix:///nowhere") as client:
        limiter = RedisLimiter(client)
        leave, left = await limiter.take([a_subject()], tokens=10)
        assert isinstance(leave, Grant)
        assert left == Standing()
        await limiter.settle(leave, tokens=10)
        with pytest.raises(LimitsUnavailable):
            await limiter.take([a_subject(requests_per_minute=1)], tokens=10)
