"""Every route that the app has, and one object of each kind for its parameters."""

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
from fastapi import FastAPI
from starlette.routing import BaseRoute, Route

from tests.rows import a_batch, a_key, a_service_account, an_endpoint
from tunery_server.gateway.protocol.projects import RATE_LIMIT_ID
from tunery_server.ids import new_id
from tunery_server.records.batches import BatchRecords
from tunery_server.records.keys import KeyRecords
from tunery_server.records.rights import ALL_SCOPES
from tunery_server.records.service_accounts import ServiceAccountRecords
from tunery_server.records.webhooks import EndpointRecords

from .composed import Gateway

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")

PUBLIC = {("GET", "/livez"), ("GET", "/readyz")}
"""Want no key."""

ANY_SCOPE = {
    ("GET", "/openapi.json"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model:path}"),
    ("GET", "/v1/adapters"),
    ("GET", "/v1/adapters/{model:path}"),
    ("GET", "/v1/usage"),
}
"""Want a key, but no scope: they show what the key's tenant may name elsewhere, and its bill."""

OPERATOR_PATHS = "/v1/organization/"
"""What every administrator sees, and no tenant, whoever's it is."""

INFERENCE_PATHS = ("/v1/chat/", "/v1/completions", "/v1/responses", "/v1/messages")
"""What a key that may only infer can reach."""


@dataclass(frozen=True, order=True)
class Call:
    """One method of one path."""

    method: str
    path: str

    @property
    def parameters(self) -> list[str]:
        return _PARAMETER.findall(self.path)

    def url(self, values: dict[str, str] | None = None) -> str:
        return _PARAMETER.sub(lambda found: (values or {}).get(found[1], "x"), self.path)


def calls(app: FastAPI) -> list[Call]:
    """Everything that can be reached, however it was added."""
    return sorted(set(_reachable(app.routes, "")))


def guarded(app: FastAPI) -> list[Call]:
    """What wants a key and a scope."""
    open_to_many = PUBLIC | ANY_SCOPE
    return [call for call in calls(app) if (call.method, call.path) not in open_to_many]


def _reachable(found: list[BaseRoute], prefix: str) -> Iterator[Call]:
    for route in found:
        path = prefix + getattr(route, "path", "")
        nested = getattr(route, "routes", None)
        if isinstance(route, Route):
            for method in route.methods or {"GET"}:
                yield Call(method, path)
        else:
            assert nested, f"a kind of route that this test cannot look into: {route!r}"
            yield from _reachable(nested, path)


ROWS = b'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n' * 10


@dataclass(frozen=True)
class Owner:
    """The tenant whose objects are made, and what was made so far, by path parameter."""

    gateway: Gateway
    http: httpx2.AsyncClient
    made: dict[str, str] = field(default_factory=dict)

    async def id_of(self, path: str, **request: Any) -> str:
        """The id of what a POST makes, or of the first in the list that it makes."""
        answer = await self.http.post(path, **request)
        assert answer.status_code == 200, answer.text
        made = answer.json()
        return str(made["id"] if "id" in made else made["data"][0]["id"])


async def _file(owner: Owner) -> str:
    files = {"file": ("a.jsonl", ROWS)}
    return await owner.id_of("/v1/files", data={"purpose": "fine-tune"}, files=files)


async def _job(owner: Owner) -> str:
    body = {"model": "base", "training_file": await _file(owner)}
    return await owner.id_of("/v1/fine_tuning/jobs", json=body)


async def _model(owner: Owner) -> str:
    return owner.gateway.publish().model


async def _permission(owner: Owner) -> str:
    path = f"/v1/fine_tuning/checkpoints/{owner.made['model']}/permissions"
    return await owner.id_of(path, json={"project_ids": ["other"]})


async def _endpoint(owner: Owner) -> str:
    endpoint = an_endpoint(tenant_id="acme")
    EndpointRecords(owner.gateway.database).add(endpoint)
    return endpoint.id


async def _batch(owner: Owner) -> str:
    batch = a_batch(tenant_id="acme")
    BatchRecords(owner.gateway.database).add(batch)
    return batch.id


async def _upload(owner: Owner) -> str:
    body = {"purpose": "batch", "filename": "a.jsonl", "bytes": 10, "mime_type": "text/jsonl"}
    return await owner.id_of("/v1/uploads", json=body)


async def _alias(owner: Owner) -> str:
    return await owner.id_of("/v1/aliases", json={"name": new_id("bot-"), "model": "base"})


async def _project(_: Owner) -> str:
    return "acme"


async def _account(owner: Owner) -> str:
    account = a_service_account(tenant_id="acme")
    ServiceAccountRecords(owner.gateway.database).add(account, None)
    return account.id


async def _key(owner: Owner) -> str:
    """One that every route of keys shows: it may administer."""
    key = a_key(scopes=ALL_SCOPES)
    KeyRecords(owner.gateway.database).add(key)
    return key.id


async def _rate_limit(_: Owner) -> str:
    return RATE_LIMIT_ID


SEEDS: dict[str, Callable[[Owner], Awaitable[str]]] = {
    "account_id": _account,
    "alias": _alias,
    "batch_id": _batch,
    "endpoint_id": _endpoint,
    "file_id": _file,
    "job_id": _job,
    "key_id": _key,
    "model": _model,
    "permission_id": _permission,
    "project_id": _project,
    "rate_limit_id": _rate_limit,
    "upload_id": _upload,
}
"""How to make an object of tenant ``acme``, by the name of the path parameter that takes its id."""

_PROJECT = "/v1/organization/projects/{project_id}"

REQUESTS: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/aliases/{alias}"): {"json": {"model": "base"}},
    ("POST", "/v1/aliases/{alias}/rollback"): {"json": {}},
    ("POST", _PROJECT): {"json": {"name": "renamed"}},
    ("POST", f"{_PROJECT}/rate_limits/{{rate_limit_id}}"): {"json": {}},
    ("POST", f"{_PROJECT}/service_accounts"): {"json": {"name": "ci"}},
    ("POST", f"{_PROJECT}/service_accounts/{{account_id}}/api_keys"): {"json": {}},
    ("POST", f"{_PROJECT}/api_keys/{{key_id}}/rotate"): {"json": {}},
    ("POST", "/v1/fine_tuning/checkpoints/{model:path}/permissions"): {
        "json": {"project_ids": ["other"]}
    },
    ("POST", "/v1/uploads/{upload_id}/complete"): {"json": {"part_ids": ["part_1"]}},
    ("POST", "/v1/uploads/{upload_id}/parts"): {"files": {"data": b"x"}},
    ("POST", "/v1/webhook_endpoints/{endpoint_id}/test"): {
        "json": {"event_type": "fine_tuning.job.succeeded"}
    },
}
"""A valid body for a route that reads one and has path parameters, as httpx's arguments."""
