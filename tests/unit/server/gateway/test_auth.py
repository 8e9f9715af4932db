"""Who may do what."""

import gc

import pytest

from tests.authentication import authenticator_of
from tests.rows import NOW
from tunery_server.errors import PermissionDenied, Unauthenticated
from tunery_server.gateway.auth import (
    ALL_SCOPES,
    CACHE_S,
    KEY_PREFIX,
    Principal,
    digest_of,
    new_key,
)
from tunery_server.limits.contract import UNLIMITED, Limits, Subject
from tunery_server.records.database import Database
from tunery_server.records.keys import KeyRecords

from .composed import Gateway

UNKNOWN_KEY = KEY_PREFIX + "x" * 43


async def test_the_health_checks_want_none(gateway: Gateway) -> None:
    async with gateway.http(UNKNOWN_KEY) as http:
        assert (await http.get("/livez")).status_code == 200
        assert (await http.get("/readyz")).status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/invocations", "/pause", "/collective_rpc"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nothing_else_is_there(gateway: Gateway, method: str, path: str) -> None:
    async with gateway.http() as http:
        answer = await http.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "PUT", "PATCH", "FOO"])
async def test_other_methods_run_no_handler(gateway: Gateway, method: str) -> None:
    async with gateway.http(UNKNOWN_KEY) as http:
        answer = await http.request(method, "/v1/completions")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Bearer"],
        ["Bearer "],
        ["Basic {key}"],
        ["{key}"],
        ["Bearer {key}x"],
        ["Bearer {key}", "Bearer {key}"],
        ["Bearer {key}, Bearer {key}"],
        ["Bearer ' OR 1=1 --"],
        ["Bearer *"],
        ["Bearer é"],
    ],
)
async def test_a_request_without_a_valid_key_is_refused(
    gateway: Gateway, headers: list[str]
) -> None:
    sent = [(b"authorization", text.format(key=gateway.key).encode("latin-1")) for text in headers]
    async with gateway.http() as http:
        del http.headers["authorization"]
        answer = await http.get("/v1/models", headers=sent)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert gateway.key not in answer.text


async def test_the_scheme_may_be_written_small(gateway: Gateway) -> None:
    async with gateway.http() as http:
        http.headers["authorization"] = f"bearer {gateway.key}"
        assert (await http.get("/v1/models")).status_code == 200


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("inference", "POST", "/v1/chat/completions"),
        ("inference", "POST", "/v1/completions"),
        ("files", "POST", "/v1/files"),
        ("files", "GET", "/v1/files"),
        ("files", "GET", "/v1/files/x/content"),
        ("files", "DELETE", "/v1/files/x"),
        ("jobs", "POST", "/v1/fine_tuning/jobs"),
        ("jobs", "GET", "/v1/fine_tuning/jobs"),
        ("jobs", "POST", "/v1/fine_tuning/jobs/x/cancel"),
        ("adapters", "DELETE", "/v1/models/x"),
        ("adapters", "DELETE", "/v1/adapters/x"),
        ("admin", "GET", "/metrics"),
    ],
)
async def test_a_key_without_the_scope_is_refused(
    gateway: Gateway, scope: str, method: str, path: str
) -> None:
    others = [other for other in ALL_SCOPES if other != scope]
    async with gateway.http(gateway.new_key(*others)) as http:
        answer = await http.request(method, path)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "insufficient_permissions"
    assert answer.json()["error"]["type"] == "permission_error"


class TestAuthenticator:
    @pytest.fixture
    def keys(self, database: Database) -> KeyRecords:
        return KeyRecords(database)

    async def test_a_key_gives_its_principal(self, keys: KeyRecords) -> None:
        secret, key = new_key("acme", "test", ("files",), NOW)
        keys.add(key)
        principal = await authenticator_of(keys, timer=lambda: 0.0).principal([f"Bearer {secret}"])
        subjects = (Subject(f"key:{key.id}", UNLIMITED), Subject("tenant:acme", UNLIMITED))
        assert principal == Principal(key.id, "acme", frozenset({"files"}), subjects)
        with pytest.raises(PermissionDenied, match="'jobs'"):
            principal.require("jobs")

    async def test_a_revoked_key_stops_working_in_time(self, keys: KeyRecords) -> None:
        secret, key = new_key("acme", "test", (), NOW)
        keys.add(key)
        now = 100.0
        authenticator = authenticator_of(keys, timer=lambda: now)
        header = [f"Bearer {secret}"]
        await authenticator.principal(header)
        keys.revoke(key.id, now=NOW)
        now = 100.0 + CACHE_S - 0.01
        await authenticator.principal(header)
        now = 100.0 + CACHE_S
        for _ in range(2):
            with pytest.raises(Unauthenticated):
                await authenticator.principal(header)

    async def test_a_key_ends_when_it_expires(self, keys: KeyRecords) -> None:
        secret, key = new_key("acme", "test", (), NOW, expires_at=NOW + 60)
        keys.add(key)
        header = [f"Bearer {secret}"]
        await authenticator_of(keys, timer=lambda: 0.0, now=NOW + 59).principal(header)
        with pytest.raises(Unauthenticated):
            await authenticator_of(keys, timer=lambda: 0.0, now=NOW + 60).principal(header)

    async def test_a_principal_carries_its_keys_and_its_tenants_limits(
        self, keys: KeyRecords
    ) -> None:
        secret, key = new_key("acme", "test", (), NOW, limits=Limits(requests_per_minute=3))
        keys.add(key)
        authenticator = authenticator_of(
            keys, timer=lambda: 0.0, limits=Limits(concurrent_requests=9)
        )
        principal = await authenticator.principal([f"Bearer {secret}"])
        assert [subject.limits for subject in principal.subjects] == [
            Limits(requests_per_minute=3),
            Limits(concurrent_requests=9),
        ]

    async def test_a_wrong_key_is_not_remembered(self, keys: KeyRecords) -> None:
        authenticator = authenticator_of(keys, timer=lambda: 0.0)
        secret, key = new_key("acme", "test", (), NOW)
        with pytest.raises(Unauthenticated):
            await authenticator.principal([f"Bearer {secret}"])
        keys.add(key)
        await authenticator.principal([f"Bearer {secret}"])

    def test_of_a_key_only_its_digest_is_kept(self) -> None:
        secret, key = new_key("acme", "test", (), NOW)
        assert secret.startswith(KEY_PREFIX)
        assert key.digest == digest_of(secret)
        assert secret not in repr(key)


async def test_keys_that_were_used_once_are_forgotten(database: Database) -> None:
    keys, now = KeyRecords(database), 0.0
    authenticator = authenticator_of(keys, timer=lambda: now)

    async def use_some() -> int:
        for _ in range(20):
            secret, key = new_key("passing", "test", ALL_SCOPES, NOW)
            keys.add(key)
            await authenticator.principal([f"Bearer {secret}"])
        kept = [one for one in gc.get_objects() if isinstance(one, Principal)]
        return sum(one.tenant_id == "passing" for one in kept)

    assert await use_some() == 20
    now = CACHE_S
    assert await use_some() == 20
