"""The scripted engine as a process of its own: vLLM's HTTP on a Unix socket, with faults to order.

``python -m tests.faults.engine_process SOCKET``. ``POST /fault {"fault": "CUT"}`` switches to any
:class:`tests.engines.Fault`, and sets ``tokens``, ``after`` and ``pace_s`` if they are there; what
kills or freezes an engine is a signal to the process. ``GET /running`` tells how many requests it
works on.
"""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from tests.engines import Fault, ScriptedEngine
from tunery_server.engine.vllm_http import ADAPTERS_PATH, PULSE_PATH
from tunery_server.errors import EngineRefused, EngineUnavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ENGINE = web.AppKey("engine", ScriptedEngine)


async def adapters(request: web.Request) -> web.Response:
    status = await request.app[ENGINE].status()
    known = {"adapters": sorted(status.adapters), "special_tokens": sorted(status.special_tokens)}
    return web.json_response({"boot_id": status.boot_id, **known})


async def pulse(request: web.Request) -> web.Response:
    await request.app[ENGINE].status()
    return web.json_response({})


async def load(request: web.Request) -> web.Response:
    body = await request.json()
    await request.app[ENGINE].load(body["name"], Path(body["path"]))
    return web.json_response({})


async def unload(request: web.Request) -> web.Response:
    await request.app[ENGINE].unload((await request.json())["name"])
    return web.json_response({})


async def forward(request: web.Request) -> web.StreamResponse:
    body = await request.read()
    kind = "text/event-stream" if b'"stream":true' in body else "application/json"
    response = web.StreamResponse(headers={"Content-Type": kind})
    async with request.app[ENGINE].forward(request.path, body) as reply:
        async for chunk in reply.chunks():
            if not response.prepared:
                await response.prepare(request)
            await response.write(chunk)
    return response


async def metrics(request: web.Request) -> web.Response:
    return web.Response(body=await request.app[ENGINE].metrics())


async def switch(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    order = await request.json()
    engine.fault = Fault[order.pop("fault")]
    for name, value in order.items():
        setattr(engine, name, value)
    if engine.fault is Fault.NONE:
        engine.go.set()
    else:
        engine.go.clear()
    return web.json_response({})


async def running(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    return web.json_response({"running": engine.running, "seen": len(engine.requests)})


@web.middleware
async def in_vllms_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A refusal is an error with a status; an engine that is away ends the connection."""
    try:
        return await handler(request)
    except EngineRefused as error:
        body = {"error": {"message": error.message, "param": error.param}}
        return web.json_response(body, status=error.status)
    except EngineUnavailable:
        if request.transport is not None:
            request.transport.abort()
        raise


def main() -> None:
    app = web.Application(middlewares=[in_vllms_words])
    app[ENGINE] = ScriptedEngine()
    app.add_routes(
        [
            web.get(ADAPTERS_PATH, adapters),
            web.get(PULSE_PATH, pulse),
            web.post(ADAPTERS_PATH, load),
            web.delete(ADAPTERS_PATH, unload),
            web.get("/metrics", metrics),
            web.post("/fault", switch),
            web.get("/running", running),
            *(web.post(path, forward) for path in ("/v1/chat/completions", "/v1/completions")),
            web.post("/tokenize", forward),
        ]
    )
    # As vLLM does, it gives up what nobody waits for.
    web.run_app(app, path=sys.argv[1], print=None, access_log=None, handler_cancellation=True)


if __name__ == "__main__":
    main()
