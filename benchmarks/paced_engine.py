"""An engine that computes nothing: vLLM's HTTP, and a word every ``PACE_S`` seconds of a stream.

``python -m benchmarks.paced_engine WHERE``, which is the path of a Unix socket or a port. No word
of an answer comes twice: there are proxies that end an answer which repeats itself.
"""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import orjson
from aiohttp import web

from tunery_server.engine.vllm_http import ADAPTERS_PATH, PULSE_PATH

PACE_S = 0.01
_PROMPT_TOKENS = 100


def words(count: int) -> list[str]:
    """What is said to whoever asks for ``count`` tokens."""
    return [f" word{number}" for number in range(count)]


async def _adapters(_: web.Request) -> web.Response:
    return web.json_response({"boot_id": "boot-1", "adapters": [], "special_tokens": ["<|end|>"]})


async def _pulse(_: web.Request) -> web.Response:
    return web.json_response({})


async def _chat(request: web.Request) -> web.StreamResponse:
    body = orjson.loads(await request.read())
    if not body.get("stream"):
        return web.Response(body=_whole(body), content_type="application/json")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    for event in _events(body):
        await asyncio.sleep(PACE_S)
        await response.write(b"data: " + orjson.dumps(event) + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    return response


def _whole(body: dict[str, Any]) -> bytes:
    tokens = body["max_tokens"]
    message = {"role": "assistant", "content": "".join(words(tokens))}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "length"}
    return orjson.dumps(_answer(body, [choice], "chat.completion", usage=_usage(tokens)))


def _events(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One for each token, in vLLM's words, and the closing count."""
    options = body.get("stream_options") or {}
    tokens = body["max_tokens"]
    for number, word in enumerate(words(tokens), start=1):
        choice = {
            "index": 0,
            "delta": {"role": "assistant", "content": word} if number == 1 else {"content": word},
            "logprobs": None,
            "finish_reason": "length" if number == tokens else None,
        }
        counted = options.get("continuous_usage_stats")
        yield _event(body, [choice], **({"usage": _usage(number)} if counted else {}))
    if options.get("include_usage"):
        yield _event(body, [], usage=_usage(tokens))


def _event(body: dict[str, Any], choices: list[Any], **more: Any) -> dict[str, Any]:
    return _answer(body, choices, "chat.completion.chunk", **more)


def _answer(body: dict[str, Any], choices: list[Any], kind: str, **more: Any) -> dict[str, Any]:
    head = {"id": "chatcmpl-1", "object": kind, "created": 1, "model": body["model"]}
    return {**head, "choices": choices, **more}


def _usage(tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": _PROMPT_TOKENS,
        "total_tokens": _PROMPT_TOKENS + tokens,
        "completion_tokens": tokens,
    }


def main(where: str) -> None:
    """Listen until it is ended."""
    app = web.Application()
    app.add_routes(
        [
            web.get(ADAPTERS_PATH, _adapters),
            web.get(PULSE_PATH, _pulse),
            web.get("/health", _pulse),
            web.post("/v1/chat/completions", _chat),
        ]
    )
    place: dict[str, Any] = {"path": where}
    if where.isdecimal():
        place = {"host": "127.0.0.1", "port": int(where)}
    web.run_app(app, print=None, access_log=None, handler_cancellation=True, **place)


if __name__ == "__main__":
    main(sys.argv[1])
