"""Every way to reach for an object by its id, and asking as one tenant of the gateway."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

import httpx2

from .composed import Gateway

MESSAGES = [{"role": "user", "content": "hi"}]

JOBS = "/v1/fine_tuning/jobs"
PERMISSIONS = "/v1/fine_tuning/checkpoints/{id}/permissions"

CALLS: dict[str, list[tuple[str, str, Any]]] = {
    "file": [
        ("GET", "/v1/files/{id}", None),
        ("GET", "/v1/files/{id}/content", None),
        ("DELETE", "/v1/files/{id}", None),
        ("GET", "/v1/files?after={id}", None),
        ("POST", JOBS, {"model": "base", "training_file": "{id}"}),
    ],
    "job": [
        ("GET", JOBS + "/{id}", None),
        ("GET", JOBS + "/{id}/events", None),
        ("GET", JOBS + "/{id}/events?stream=true", None),
        ("GET", JOBS + "/{id}/checkpoints", None),
        ("GET", JOBS + "?after={id}", None),
        *(("POST", f"{JOBS}/{{id}}/{verb}", None) for verb in ("cancel", "pause", "resume")),
    ],
    "adapter": [
        ("GET", "/v1/models/{id}", None),
        ("DELETE", "/v1/models/{id}", None),
        ("GET", "/v1/adapters/{id}", None),
        ("GET", "/v1/adapters/{id}/content", None),
        ("DELETE", "/v1/adapters/{id}", None),
        ("GET", PERMISSIONS, None),
        ("POST", PERMISSIONS, {"project_ids": ["somebody"]}),
        ("POST", "/v1/chat/completions", {"model": "{id}", "messages": MESSAGES}),
        ("POST", "/v1/aliases", {"name": "never-made", "model": "{id}"}),
    ],
    "alias": [
        ("GET", "/v1/aliases/{id}", None),
        ("POST", "/v1/aliases/{id}", {"model": "base"}),
        ("POST", "/v1/aliases/{id}/rollback", {}),
        ("DELETE", "/v1/aliases/{id}", None),
        ("GET", "/v1/aliases?after={id}", None),
        ("POST", "/v1/chat/completions", {"model": "{id}", "messages": MESSAGES}),
    ],
}
"""By kind of object: method, path and body with ``{id}`` in them."""

WITH_PERMISSION = ("/v1/models/{id}", "/v1/chat/completions", "/v1/aliases")
"""What a tenant may do with an adapter of another one that lets it."""


@dataclass(frozen=True)
class Caller:
    """One tenant's client, driven from outside the event loop."""

    gateway: Gateway
    runner: "asyncio.Runner"
    http: httpx2.AsyncClient

    @classmethod
    def of(cls, gateway: Gateway, runner: "asyncio.Runner", tenant: str) -> "Caller":
        return cls(gateway, runner, gateway.http(gateway.new_key(tenant=tenant)))

    def ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        return self.runner.run(self.http.request(method, path, **request))

    def answer(self, method: str, path: str, **request: Any) -> Any:
        """The JSON of an answer that must be a good one."""
        answer = self.ask(method, path, **request)
        assert answer.status_code == 200, (method, path, answer.text)
        return answer.json()

    def refused(self, code: str | None, method: str, path: str, **request: Any) -> None:
        """It must be a 400 with this code."""
        answer = self.ask(method, path, **request)
        assert answer.status_code == 400, (method, path, answer.text)
        assert code is None or answer.json()["error"]["code"] == code

    def finds_nothing(self, object_id: str, call: tuple[str, str, Any]) -> None:
        """The answer is that for an object which never was: as absent, in the same words."""
        never = like(object_id)
        found, absent = (self._reach(call, each) for each in (object_id, never))
        status = 400 if "after=" in call[1] else 404
        assert found.status_code == absent.status_code == status, (call, found.text)
        assert _blind(found, object_id) == _blind(absent, never), call

    def _reach(self, call: tuple[str, str, Any], object_id: str) -> httpx2.Response:
        method, path, body = call
        if body is not None:
            filled = {name: object_id if value == "{id}" else value for name, value in body.items()}
            return self.ask(method, path.format(id=object_id), json=filled)
        return self.ask(method, path.format(id=object_id))


def like(object_id: str) -> str:
    """An id of the same shape and length that was never given out."""
    digits = min(32, len(object_id))
    return object_id[:-digits] + secrets.token_hex(16)[:digits]


def _blind(answer: httpx2.Response, object_id: str) -> tuple[str, list[str]]:
    """The answer without the id that was asked for, and the names of its headers."""
    return answer.text.replace(object_id, "ID"), sorted(answer.headers)
