"""Carries one request to the engine and its answer back."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import orjson

from tunery_server.engine.contract import Engine, Reply
from tunery_server.errors import EngineRefused, EngineTooSlow, EngineUnavailable
from tunery_server.serving.admission import Admission, Place
from tunery_server.serving.breaker import Breaker, fingerprint
from tunery_server.serving.caller import Caller
from tunery_server.serving.ledger import Ledger
from tunery_server.serving.metering import Meter, Metering, tokens_of
from tunery_server.serving.residency import Residency
from tunery_server.serving.resolver import Resolver, Route, Target
from tunery_server.serving.shadows import Shadows
from tunery_server.serving.traffic import Sight, Traffic
from tunery_server.serving.usage import StreamCut, StreamUsage, Usage, usage_of
from tunery_server.telemetry import metrics

VERBATIM = frozenset({"/v1/completions"})
"""Where the prompt is text as the model reads it: the client is its own chat template."""

_ABOUT_THE_ANSWER = frozenset({"stop", "stop_sequences"})

_ABOUT_STREAMS = frozenset({"stream", "stream_options"})
_COUNTED = {"include_usage": True, "continuous_usage_stats": True}

_LARGE_BYTES = 2**16
"""From here on, looking through a body would hold up everybody else's answers."""


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A checked request. ``body`` is what goes to the engine, less the model's name."""

    path: str
    model: str
    body: dict[str, Any]
    stream: bool
    include_usage: bool
    """The client of a stream asked for the closing usage event."""
    background: bool = False
    """Nobody waits for the answer: every other request goes first."""
    user: str = ""
    """Whom the client asks for; an alias that is split leads each of them the same way."""


def _counts_as_it_goes(request: InferenceRequest) -> bool:
    """Whether a dialect wants to know the prompt's length before the answer's end."""
    return bool(request.body.get("stream_options", {}).get("continuous_usage_stats"))


def _size_and_fingerprint(request: InferenceRequest, model: str) -> tuple[int, bytes]:
    """Of the body, in bytes; its JSON is not kept, for it may have to wait in line."""
    body = orjson.dumps(request.body)
    return len(body), fingerprint(request.path, model, body)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A request that the engine has begun to answer."""

    target: Target
    reply: Reply
    meter: Meter
    place: Place


class Relay:
    """Resolve, admit, make resident, forward."""

    def __init__(
        self,
        *,
        engine: Engine,
        resolver: Resolver,
        residency: Residency,
        metering: Metering,
        ledger: Ledger,
        admission: Admission,
        breaker: Breaker,
        shadows: Shadows,
        traffic: Traffic,
        salt: Callable[[str], str],
        timer: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._resolver = resolver
        self._residency = residency
        self._metering = metering
        self._ledger = ledger
        self._admission = admission
        self._breaker = breaker
        self._shadows = shadows
        self._traffic = traffic
        self._salt = salt
        self._timer = timer

    async def close(self) -> None:
        """Give up what nobody waits for."""
        await self._shadows.close()

    async def complete(self, caller: Caller, request: InferenceRequest) -> bytes:
        """The whole answer as the engine wrote it."""
        with self._traffic.seen(caller.tenant_id) as sight:
            sight.route = await self._route(caller, request)
            return await self._complete(caller, request, sight.route, sight)

    async def _complete(
        self, caller: Caller, request: InferenceRequest, route: Route, sight: Sight
    ) -> bytes:
        async with AsyncExitStack() as stack:
            stack.enter_context(self._noticing_a_loss())
            opened = await self._open(stack, caller, request, route, sight)
            answer = b"".join([chunk async for chunk in opened.reply.chunks()])
            usage = usage_of(answer)
            await opened.meter.settle(usage)
        self._record(caller, request, opened, usage, sight)
        return answer

    async def stream(
        self, caller: Caller, request: InferenceRequest
    ) -> AsyncGenerator[bytes, None]:
        """Server-sent events. The first item comes once the engine has begun to answer.

        Every error before that is raised to whoever asks for the first item, so that it can still
        become a status. Closing the iterator aborts the request in the engine.
        """
        started = self._timer()
        async with AsyncExitStack() as stack:
            sight = stack.enter_context(self._traffic.seen(caller.tenant_id))
            sight.route = route = await self._route(caller, request)
            stack.enter_context(self._noticing_a_loss())
            opened = await self._open(stack, caller, request, route, sight)
            usage = StreamUsage(passed=request.include_usage, running=_counts_as_it_goes(request))
            first = True
            try:
                async for chunk in opened.reply.chunks():
                    if first:
                        first = False
                        elapsed = self._timer() - started
                        metrics.TIME_TO_FIRST_TOKEN.labels(opened.target.kind).observe(elapsed)
                    events = usage.feed(chunk)
                    sight.chunk(usage.completion_tokens)
                    if usage.done:  # before the client knows that it may ask again
                        sight.answered = True
                        await opened.meter.settle(usage.usage)
                    if events:
                        yield events
            finally:
                await opened.meter.settle(usage.usage)
                self._record(caller, request, opened, usage.usage, sight)
            if not usage.done:
                raise StreamCut

    @contextmanager
    def _noticing_a_loss(self) -> Iterator[None]:
        """Not ready from the first request that the engine fails, not from the next look at it."""
        try:
            yield
        except EngineTooSlow:  # one request's end is not the engine's
            raise
        except (EngineUnavailable, StreamCut):
            self._residency.observe(None)
            raise

    async def _open(
        self,
        stack: AsyncExitStack,
        caller: Caller,
        request: InferenceRequest,
        route: Route,
        sight: Sight,
    ) -> _Opened:
        target = route.target
        if target.folder is not None:
            stack.enter_context(self._residency.using(target.name))
        size, same = _size_and_fingerprint(request, target.name)
        cost = tokens_of(request.body, size)
        meter = await stack.enter_async_context(self._metering.metered(caller, cost))
        place = await stack.enter_async_context(
            self._admission.place(
                tenant=caller.tenant_id,
                adapter=target.name if target.folder else None,
                cost=cost,
                background=request.background,
            )
        )
        sight.queue_wait_s = None if request.background else place.waited_s
        if target.folder is not None:
            await stack.enter_async_context(
                self._residency.resident(target.name, target.folder, target.owner)
            )
        prompt = await self._plain(request, size)
        stack.enter_context(self._breaker.watching(same, self._residency.boot_id))
        salt = self._salt(caller.tenant_id)
        body = {**prompt, "model": target.name, "cache_salt": salt}
        if request.stream:
            body["stream_options"] = {**body.get("stream_options", {}), **_COUNTED}
        shadow = None if request.background else route.of_the_shadow()
        if shadow is not None:
            sight.role = "primary"
            self._shadows.start(self._shadow(caller, request, shadow))
        sight.sent()
        return _Opened(
            target=target,
            reply=await self._forwarded(stack, target, request.path, orjson.dumps(body)),
            meter=meter,
            place=place,
        )

    async def _forwarded(
        self, stack: AsyncExitStack, target: Target, path: str, body: bytes
    ) -> Reply:
        """The engine's reply; it is asked again when its adapter was unloaded a moment before."""
        try:
            return await stack.enter_async_context(self._engine.forward(path, body))
        except EngineRefused as error:
            if error.status != HTTPStatus.NOT_FOUND or target.folder is None:
                raise
        self._residency.missed(target.name)
        await self._residency.ensure(target.name, target.folder, target.owner)
        return await stack.enter_async_context(self._engine.forward(path, body))

    async def _route(self, caller: Caller, request: InferenceRequest) -> Route:
        return await self._resolver.resolve(caller.tenant_id, request.model, request.user)

    async def _shadow(self, caller: Caller, request: InferenceRequest, route: Route) -> bytes:
        """The same request to another adapter: whole, in the background, at nobody's expense."""
        body = {key: value for key, value in request.body.items() if key not in _ABOUT_STREAMS}
        copy = replace(request, body=body, stream=False, background=True)
        with self._traffic.seen(caller.tenant_id) as sight:
            sight.route, sight.role = route, "shadow"
            return await self._complete(Caller(caller.tenant_id), copy, route, sight)

    async def _plain(self, request: InferenceRequest, size: int) -> dict[str, Any]:
        """The body with no special token spelt in what a chat template will render."""
        if request.path in VERBATIM:
            return request.body
        tokens = self._residency.special_tokens
        chat = {key: value for key, value in request.body.items() if key not in _ABOUT_THE_ANSWER}
        if size < _LARGE_BYTES:
            return {**request.body, **tokens.as_text(chat)}
        return {**request.body, **await asyncio.to_thread(tokens.as_text, chat)}

    def _record(
        self,
        caller: Caller,
        request: InferenceRequest,
        opened: _Opened,
        usage: Usage | None,
        sight: Sight,
    ) -> None:
        if usage is None:
            return
        sight.took(usage)
        opened.place.took(usage.prompt_tokens + usage.completion_tokens)
        kind = opened.target.kind
        metrics.TOKENS.labels(kind, "prompt").inc(usage.prompt_tokens)
        metrics.TOKENS.labels(kind, "completion").inc(usage.completion_tokens)
        self._ledger.add(caller, opened.target.name, usage, background=request.background)
