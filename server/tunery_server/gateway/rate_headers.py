"""The headers that tell a client what is left of its limits, as OpenAI's and Anthropic's do."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunery_server.gateway.wire import Wire, wire_of
from tunery_server.limits.contract import Level, Standing

STANDING = "standing"
"""Where in a request's state its standing is left."""


class RateHeaders:
    """Adds them to every answer, a refusal too, whose request was held to a limit."""

    def __init__(self, app: ASGIApp, *, clock: Callable[[], float]) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def telling_send(message: Message) -> None:
            standing = scope.get("state", {}).get(STANDING)
            if message["type"] == "http.response.start" and standing is not None:
                write = _anthropic if wire_of(scope) is Wire.ANTHROPIC else _openai
                headers = MutableHeaders(scope=message)
                for kind, level in _levels(standing):
                    write(headers, kind, level, self._clock())
            await send(message)

        await self._app(scope, receive, telling_send)


def _levels(standing: Standing) -> list[tuple[str, Level]]:
    levels = (("requests", standing.requests), ("tokens", standing.tokens))
    return [(kind, level) for kind, level in levels if level is not None]


def _openai(headers: MutableHeaders, kind: str, level: Level, _now: float) -> None:
    headers[f"x-ratelimit-limit-{kind}"] = str(level.limit)
    headers[f"x-ratelimit-remaining-{kind}"] = str(level.remaining)
    headers[f"x-ratelimit-reset-{kind}"] = duration(level.reset_s)


def _anthropic(headers: MutableHeaders, kind: str, level: Level, now: float) -> None:
    reset = datetime.fromtimestamp(now, UTC) + timedelta(seconds=level.reset_s)
    headers[f"anthropic-ratelimit-{kind}-limit"] = str(level.limit)
    headers[f"anthropic-ratelimit-{kind}-remaining"] = str(level.remaining)
    headers[f"anthropic-ratelimit-{kind}-reset"] = reset.strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float) -> str:
    """As OpenAI writes it: ``12ms``, ``1.5s``, ``6m0s``."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{minutes:.0f}m{rest:.0f}s" if minutes else f"{rest:g}s"
