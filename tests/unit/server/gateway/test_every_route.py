"""What holds for every route of the app, also for one that was added yesterday."""

import secrets

import httpx2
import pytest
from prometheus_client import REGISTRY

from tunery_server.config import Settings
from tunery_server.gateway.auth import ALL_SCOPES, INFERENCE, KEY_PREFIX

from .composed import Gateway
from .every_route import (
    ANY_SCOPE,
    INFERENCE_PATHS,
    OPERATOR_PATHS,
    PUBLIC,
    REQUESTS,
    SEEDS,
    Call,
    Owner,
    calls,
    guarded,
)

UNKNOWN_KEY = KEY_PREFIX + "x" * 43


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With everything on that an operator can turn on."""
    return settings.model_copy(update={"webhook_hosts": ("hooks.invalid",)})


ANTHROPIC_CODES = {
    "authentication_error": "invalid_api_key",
    "permission_error": "insufficient_permissions",
    "invalid_request_error": "method_not_allowed",
}
"""By the type of an error in Anthropic's shape, the code that it has in OpenAI's, here."""


def code_of(answer: httpx2.Response) -> str:
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    body = answer.json()
    if body.keys() == {"type", "error", "request_id"}:
        return ANTHROPIC_CODES[body["error"]["type"]]
    assert body["error"].keys() == {"message", "type", "param", "code"}
    return str(body["error"]["code"])


async def test_the_routes_were_found(gateway: Gateway) -> None:
    found = {(call.method, call.path) for call in calls(gateway.app)}
    assert found > PUBLIC | ANY_SCOPE
    assert ("POST", "/v1/chat/completions") in found


async def test_every_route_but_the_health_checks_wants_a_key(gateway: Gateway) -> None:
    async with gateway.http(UNKNOWN_KEY) as wrong, gateway.http() as right:
        for call in calls(gateway.app):
            if (call.method, call.path) in PUBLIC:
                assert (await wrong.request(call.method, call.url())).status_code == 200, call
                continue
            answer = await wrong.request(call.method, call.url(), content=b"not even JSON")
            assert (answer.status_code, code_of(answer)) == (401, "invalid_api_key"), call
            assert (await right.request(call.method, call.url())).status_code != 401, call


async def test_every_route_wants_a_scope(gateway: Gateway) -> None:
    """One of them, or several: a key that lacks it is refused before anything else is looked at."""
    lacking = {
        scope: gateway.new_key(*(other for other in ALL_SCOPES if other != scope))
        for scope in ALL_SCOPES
    }
    for call in guarded(gateway.app):
        wanted = set()
        for scope, key in lacking.items():
            async with gateway.http(key) as http:
                answer = await http.request(call.method, call.url())
            if answer.status_code == 403:
                assert code_of(answer) == "insufficient_permissions"
                wanted.add(scope)
        assert wanted, f"{call} wants no scope"


async def test_a_key_for_inference_reaches_nothing_else(gateway: Gateway) -> None:
    async with gateway.http(gateway.new_key(INFERENCE)) as http:
        for call in guarded(gateway.app):
            answer = await http.request(call.method, call.url())
            infers = call.path.startswith(INFERENCE_PATHS)
            assert (answer.status_code != 403) == infers, call


async def test_a_tenants_key_reaches_nothing_of_the_operators(gateway: Gateway) -> None:
    tenant_scopes = [scope for scope in ALL_SCOPES if scope != "admin"]
    async with gateway.http(gateway.new_key(*tenant_scopes)) as http:
        assert (await http.get("/metrics")).status_code == 403


async def test_what_is_another_tenants_looks_as_if_it_never_was(gateway: Gateway) -> None:
    with_parameters = [call for call in calls(gateway.app) if call.parameters]
    assert len(with_parameters) > 10
    async with gateway.http() as owner, gateway.http(gateway.rival_key) as rival:
        for call in with_parameters:
            theirs = await seeded(Owner(gateway, owner), call.parameters)
            never = {name: like(value) for name, value in theirs.items()}
            foreign = await ask(rival, call, theirs)
            absent = await ask(rival, call, never)
            status = 403 if call.path.startswith(OPERATOR_PATHS) else 404
            assert foreign.status_code == absent.status_code == status, (call, foreign.text)
            assert blind(foreign, theirs) == blind(absent, never), call
            own = await ask(owner, call, theirs)
            assert own.status_code != 404, f"{call}: the seeded object is not there: {own.text}"


async def seeded(owner: Owner, names: list[str]) -> dict[str, str]:
    for name in names:
        assert name in SEEDS, f"say in every_route.SEEDS how to make what {{{name}}} names"
        owner.made[name] = await SEEDS[name](owner)
    return owner.made


def like(value: str) -> str:
    """An id of the same shape that was never given out."""
    digits = 32
    return value[:-digits] + secrets.token_hex(digits // 2)


async def ask(http: httpx2.AsyncClient, call: Call, values: dict[str, str]) -> httpx2.Response:
    more = REQUESTS.get((call.method, call.path), {})
    return await http.request(call.method, call.url(values), **more)


def blind(answer: httpx2.Response, values: dict[str, str]) -> tuple[str, list[str]]:
    """The answer without the ids that were asked for, and the names of its headers."""
    text = answer.text
    for value in values.values():
        text = text.replace(value, "ID")
    return text, sorted(answer.headers)


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "TRACE", "FOO"])
async def test_other_methods_run_no_handler(gateway: Gateway, method: str) -> None:
    paths = {call.url(): set[str]() for call in calls(gateway.app)}
    for call in calls(gateway.app):
        paths[call.url()].add(call.method)
    async with gateway.http(UNKNOWN_KEY) as http:
        for path, methods in paths.items():
            answer = await http.request(method, path)
            assert answer.status_code == 405, (method, path)
            if method != "HEAD":
                assert code_of(answer) == "method_not_allowed"
            assert methods <= set(answer.headers["allow"].split(", ")), path


async def test_made_up_methods_and_paths_make_no_metrics(gateway: Gateway) -> None:
    async with gateway.http(UNKNOWN_KEY) as http:
        await http.request("FOO", "/v1/chat/completions")
        await http.get("/v1/nothing")
        await http.get("/v1/models/none")
        before = series()
        for number in range(1000):
            await http.request(f"FOO{number}", "/v1/chat/completions")
        for number in range(100):
            await http.get(f"/v1/nothing-{number}")
            await http.get(f"/v1/models/none-{number}")
    assert series() == before


def series() -> int:
    return sum(len(metric.samples) for metric in REGISTRY.collect())
