"""Clients that chat with an engine that computes nothing, and look whether all of it arrives."""

import asyncio
import random
import time
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from benchmarks.paced_engine import words
from benchmarks.proxies import MODEL, Endpoint

_DATA, _END = b"data: ", b"[DONE]"
_WORDS = 100


class Chats:
    """Connections to one endpoint. Belongs to one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._url = f"{endpoint.url}/v1/chat/completions"
        self._headers = {"Authorization": f"Bearer {endpoint.key}"}
        self._draws = random.Random(0)  # noqa: S311 - a load is no secret

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), headers=self._headers
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def streams(self, count: int, tokens: int) -> None:
        """So many answers at once. Raises RuntimeError when a chunk is lost, doubled or merged."""
        await asyncio.gather(*(self._stream(tokens) for _ in range(count)))

    async def seconds(self, tokens: int) -> float:
        """How long one whole answer takes. Raises RuntimeError when it is another one."""
        body = self._body(tokens)
        began = time.perf_counter()
        async with self._session.post(self._url, json=body) as response:
            answer = await response.read()
        took = time.perf_counter() - began
        said = orjson.loads(answer)["choices"][0]["message"]["content"]
        _require(said == "".join(words(tokens)), said)
        return took

    async def _stream(self, tokens: int) -> None:
        said, ended = [], False
        async with self._session.post(self._url, json=self._body(tokens, stream=True)) as response:
            async for line in response.content:
                if line.startswith(_DATA):
                    data = line[len(_DATA) :].strip()
                    ended = data == _END
                    said += [] if ended else _contents(orjson.loads(data))
        _require(ended and said == words(tokens), said)

    def _body(self, tokens: int, *, stream: bool = False) -> dict[str, Any]:
        prompt = " ".join(f"word{self._draws.randrange(10_000)}" for _ in range(_WORDS))
        messages = [{"role": "user", "content": prompt}]
        return {"model": MODEL, "messages": messages, "max_tokens": tokens, "stream": stream}


def _contents(event: dict[str, Any]) -> list[str]:
    """The text of one event; those that only begin or end an answer have none."""
    texts = (choice["delta"].get("content") for choice in event["choices"])
    return [text for text in texts if text]


def _require(whole: bool, said: object) -> None:
    if not whole:
        raise RuntimeError(f"the answer is not what the engine said: {str(said)[:500]}")
