"""Keys that are guesses, attacks or too many, and addresses that are made up."""

import asyncio
import math
import string
import time

import httpx2
import pytest

from tests.authentication import authenticator_of
from tunery_server.config import Settings
from tunery_server.errors import RateLimited, Unauthenticated
from tunery_server.gateway.auth import KEY_PREFIX, digest_of
from tunery_server.gateway.failed_attempts import WINDOW_S, FailedAttempts
from tunery_server.records.keys import KeyRecords
from tunery_server.records.rows import ApiKey

from .composed import Gateway
from .sockets import Answer, Edge

CAP = 20
HOSTILE = [
    "' OR pg_sleep(8)--",
    "'; DROP TABLE api_keys; --",
    "*",
    "sk-*",
    "sk-tunery-%",
    "a\\r\\nFLUSHALL",
    "${jndi:ldap://127.0.0.1/a}",
    "../../admin.key",
    "\x7f\x01\x02",
    "é\u00ff",
    "x" * 60_000,
    "{{7*7}}",
    "null",
    "Bearer Bearer",
]


class Watched:
    """A record of keys that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def by_digest(self, digest: str) -> ApiKey | None:
        self.asked.append(digest)
        return None


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"failed_auth_per_minute": CAP})


@pytest.mark.parametrize("secret", HOSTILE, ids=lambda secret: ascii(secret[:20]))
async def test_a_key_is_data_and_only_its_digest_is_looked_up(secret: str) -> None:
    keys = Watched()
    with pytest.raises(Unauthenticated) as refused:
        await authenticator_of(keys, timer=lambda: 0.0).principal([f"Bearer {secret}"])
    assert keys.asked == [digest_of(secret.strip())]
    assert secret not in refused.value.message


@pytest.mark.parametrize("secret", HOSTILE, ids=lambda secret: ascii(secret[:20]))
async def test_a_hostile_key_is_refused_at_once(edge: Edge, secret: str) -> None:
    line = f"Authorization: Bearer {secret}".encode("latin-1")
    mine = b"Authorization: Bearer " + edge.gateway.key.encode()
    request = edge.request("GET", "/v1/models").replace(mine, line)
    await edge.is_well()
    started = time.process_time()
    answer = await edge.send(request)
    assert time.process_time() - started < 0.5
    assert answer.status in {401, 400}  # 400 where it is no header at all
    assert answer.code in {"invalid_api_key", "invalid_http"}
    assert secret.encode("latin-1") not in answer.body or secret == "null"


def rank_sum_z(first: list[float], second: list[float]) -> float:
    """Mann-Whitney's U in standard deviations from what equal distributions give."""
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    ranks = sum(rank for rank, (_, group) in enumerate(ranked, start=1) if group == 0)
    n, m = len(first), len(second)
    u = ranks - n * (n + 1) / 2
    return (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)


async def test_time_does_not_tell_how_much_of_a_key_is_right(gateway: Gateway) -> None:
    authenticator = authenticator_of(KeyRecords(gateway.database), timer=lambda: 0.0)
    right = gateway.key.removeprefix(KEY_PREFIX)
    other = {letter: "A" if letter != "A" else "B" for letter in string.printable}
    guesses = {
        "first": KEY_PREFIX + other[right[0]] + right[1:],
        "last": KEY_PREFIX + right[:-1] + other[right[-1]],
        "unknown": KEY_PREFIX + right[::-1],
    }
    times: dict[str, list[float]] = {name: [] for name in guesses}
    for _ in range(1500):
        for name, guess in guesses.items():
            started = time.perf_counter()
            with pytest.raises(Unauthenticated):
                await authenticator.principal([f"Bearer {guess}"])
            times[name].append(time.perf_counter() - started)
    for name in ("last", "unknown"):
        assert abs(rank_sum_z(times["first"], times[name])) < 4.5, name


class TestFailedAttempts:
    def test_an_address_has_its_share_in_each_window(self) -> None:
        now = 100.0
        attempts = FailedAttempts(limit=2, timer=lambda: now)
        for _ in range(2):
            attempts.add("10.0.0.1")
        now += 0.5
        with pytest.raises(RateLimited) as refused:
            attempts.add("10.0.0.1")
        assert refused.value.retry_after_s == math.ceil(WINDOW_S - 0.5)
        attempts.add("10.0.0.2")
        now = 100.0 + WINDOW_S
        attempts.add("10.0.0.1")

    @pytest.mark.parametrize(
        ("first", "second", "together"),
        [
            ("2001:db8::1", "2001:db8::ffff:2", True),
            ("2001:db8::1", "2001:db8:0:1::1", False),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
            ("10.0.0.1", "10.0.0.2", False),
            ("", "", True),
            ("x" * 1000, "x" * 999, True),
        ],
    )
    def test_what_counts_as_one_address(self, first: str, second: str, together: bool) -> None:
        attempts = FailedAttempts(limit=1, timer=lambda: 0.0)
        attempts.add(first)
        if together:
            with pytest.raises(RateLimited):
                attempts.add(second)
        else:
            attempts.add(second)

    def test_the_oldest_address_is_forgotten_first(self) -> None:
        attempts = FailedAttempts(limit=1, timer=lambda: 0.0)
        for number in range(30_000):
            attempts.add(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        assert len(attempts._windows) == 10_000
        attempts.add("10.0.0.0")
        with pytest.raises(RateLimited):
            attempts.add("10.0.0.0")


def from_address(gateway: Gateway, address: str, key: str) -> httpx2.AsyncClient:
    http = gateway.http(key)
    http._transport = httpx2.ASGITransport(gateway.app, client=(address, 1))
    return http


async def test_an_address_that_guesses_is_refused_and_nobody_else(gateway: Gateway) -> None:
    async with from_address(gateway, "10.1.1.1", "wrong") as guessing:
        statuses = []
        for number in range(200):
            forwarded = {"X-Forwarded-For": f"10.9.9.{number}"}
            statuses.append((await guessing.get("/v1/models", headers=forwarded)).status_code)
        assert statuses == [401] * CAP + [429] * (200 - CAP)
        refused = await guessing.get("/v1/models")
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert 0 < int(refused.headers["retry-after"]) <= WINDOW_S
    for address, key, status in [
        ("10.1.1.1", gateway.key, 200),
        ("10.1.1.1", gateway.new_key(), 200),
        ("10.1.1.2", gateway.key, 200),
        ("10.1.1.2", "wrong", 401),
    ]:
        async with from_address(gateway, address, key) as http:
            assert (await http.get("/v1/models")).status_code == status


async def guess(edge: Edge, *lines: str) -> Answer:
    request = edge.request("GET", "/v1/models", *lines)
    return await edge.send(request.replace(edge.gateway.key.encode(), b"wrong"))


async def test_an_address_that_a_client_made_up_is_not_believed(edge: Edge) -> None:
    answers = [await guess(edge, f"X-Forwarded-For: 10.0.0.{i}") for i in range(CAP + 1)]
    assert [answer.status for answer in answers] == [401] * CAP + [429]


class TestBehindAProxy:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"trusted_proxies": ("127.0.0.0/8",)})

    async def test_addresses_that_the_proxy_names_count_each(self, edge: Edge) -> None:
        answers = [await guess(edge, f"X-Forwarded-For: 10.0.0.{i}") for i in range(CAP + 1)]
        assert {answer.status for answer in answers} == {401}

    async def test_what_a_client_told_the_proxy_is_not_believed(self, edge: Edge) -> None:
        """The proxy appends the address that it saw; what stands before it is the client's word."""
        lines = [f"X-Forwarded-For: 10.0.0.{i}, 10.7.7.7" for i in range(CAP + 1)]
        statuses = [(await guess(edge, line)).status for line in lines]
        assert statuses == [401] * CAP + [429]


async def test_many_at_once_cannot_slip_past(edge: Edge) -> None:
    answers = await asyncio.gather(*(guess(edge) for _ in range(CAP * 3)))
    assert sorted(answer.status for answer in answers) == [401] * CAP + [429] * CAP * 2
