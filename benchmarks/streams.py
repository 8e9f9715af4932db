"""Clients that stream completions from a gateway, and when each token came."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

_LONGEST_S = 600.0
_DATA = b"data: "
_END = b"[DONE]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request for ``tokens`` tokens after a prompt of token ids."""

    key: str
    model: str
    prompt: tuple[int, ...]
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """When it was due and when each event came, in seconds of one clock."""

    ask: Ask
    due: float
    arrivals: tuple[float, ...]
    refusal: str = ""
    """What a server that is too busy said; it sent no token."""

    @property
    def ttft(self) -> float:
        """Seconds from when the request was due to its first token."""
        return self.arrivals[0] - self.due

    @property
    def ended(self) -> float:
        """When the last token came."""
        return self.arrivals[-1]


class Clients:
    """As many connections as requests at once. Belongs to one event loop."""

    def __init__(self, url: str, *, banned: Iterable[int], socket: Path | None = None) -> None:
        """``banned`` are the tokens that would end an answer early; ``socket`` a Unix socket."""
        self._url = url
        self._socket = socket
        self._bias = {str(token): -100 for token in banned}

    async def __aenter__(self) -> Self:
        connector = (
            aiohttp.UnixConnector(str(self._socket), limit=0)
            if self._socket
            else aiohttp.TCPConnector(limit=0)
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=_LONGEST_S),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def closed_loop(self, asks: Iterable[Ask], *, streams: int) -> list[Answer]:
        """``streams`` clients, each of which asks again when it was answered.

        Raises RuntimeError when one is refused.
        """
        waiting = iter(asks)
        lines = await asyncio.gather(*(self._line(waiting) for _ in range(streams)))
        answers = [answer for line in lines for answer in line]
        if refusals := [answer.refusal for answer in answers if answer.refusal]:
            raise RuntimeError(f"{len(refusals)} of {len(answers)} refused: {refusals[0]}")
        return answers

    async def open_loop(self, arrivals: Iterable[tuple[float, Ask]]) -> list[Answer]:
        """Each request at its second, whatever has become of those before it."""
        began = time.perf_counter()
        tasks = []
        for second, ask in arrivals:
            due = began + second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self.send(ask, due=due)))
        return list(await asyncio.gather(*tasks))

    async def send(self, ask: Ask, *, due: float | None = None) -> Answer:
        """Ask, and read to the end. Raises RuntimeError on anything but a whole answer."""
        due = time.perf_counter() if due is None else due
        headers = {"Authorization": f"Bearer {ask.key}", "Content-Type": "application/json"}
        url = f"{self._url}/v1/completions"
        async with self._session.post(url, data=self._body(ask), headers=headers) as response:
            if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
                return Answer(ask=ask, due=due, arrivals=(), refusal=await response.text())
            if response.status != HTTPStatus.OK:
                raise RuntimeError(f"{response.status}: {await response.text()}")
            arrivals, usage = await _read(response)
        if usage != (len(ask.prompt), ask.tokens) or len(arrivals) > ask.tokens:
            raise RuntimeError(f"{usage} tokens in {len(arrivals)} chunks, asked for {ask.tokens}")
        return Answer(ask=ask, due=due, arrivals=tuple(arrivals))

    async def _line(self, waiting: Iterator[Ask]) -> list[Answer]:
        return [await self.send(ask) for ask in waiting]

    def _body(self, ask: Ask) -> bytes:
        return orjson.dumps(
            {
                "model": ask.model,
                "prompt": ask.prompt,
                "max_tokens": ask.tokens,
                "temperature": 0,
                "logit_bias": self._bias,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        )


async def _read(response: aiohttp.ClientResponse) -> tuple[list[float], tuple[int, int]]:
    """When each chunk with a choice came; prompt and completion tokens by the closing event."""
    arrivals, counted, ended = [], (0, 0), False
    async for line in response.content:
        if not line.startswith(_DATA):
            continue
        data = line[len(_DATA) :].strip()
        if data == _END:
            ended = True
            continue
        event: dict[str, Any] = orjson.loads(data)
        if event.get("choices"):
            arrivals.append(time.perf_counter())
        if usage := event.get("usage"):
            counted = (usage["prompt_tokens"], usage["completion_tokens"])
    if not ended:
        raise RuntimeError("the stream was cut")
    return arrivals, counted
