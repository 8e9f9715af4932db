"""The whole gateway on loopback, with records that are made anew before each test."""

from dataclasses import dataclass, field
from http import HTTPStatus

import orjson
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .seeds import Seeds

CONTROL = "/between-tests"


@dataclass
class Watched:
    """The app, which tells what was asked of it since the last test began."""

    app: ASGIApp
    seeds: Seeds
    asked: list[tuple[str, int]] = field(default_factory=list)
    """Method and route, or nothing where there is no such route, and the answer's status."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == CONTROL:
            await self._between_tests(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith("/v1/"):
            await self._watch(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _between_tests(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST: the name of the next test. GET: what it asked for."""
        if scope["method"] == "POST":
            self.seeds.sow(orjson.loads((await receive())["body"]))
            self.asked.clear()
        await JSONResponse(self.asked)(scope, receive, send)

    async def _watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watching_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.asked.append((_route(scope, message["status"]), message["status"]))
            await send(message)

        await self.app(scope, receive, watching_send)


def _route(scope: Scope, status: int) -> str:
    route = scope.get("route")
    if route is None or status == HTTPStatus.METHOD_NOT_ALLOWED:
        return ""
    return f"{scope['method']} {route.path_format}"
