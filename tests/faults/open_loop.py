"""Requests that come at a given rate, whatever becomes of those before them."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import quantiles

import httpx2

from tests.faults.stack import START_S, Stack


@dataclass
class Visit:
    """One request for a stream: how it went, and when in seconds after it was sent."""

    status: int
    headers: "httpx2.Headers"
    first_s: float
    """When the status was there, which in a stream is when the first token is."""
    whole: bool


@dataclass
class Visitors:
    """All requests of one tenant."""

    visits: list[Visit] = field(default_factory=list)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(visit.status for visit in self.visits)

    def with_status(self, *statuses: int) -> list[Visit]:
        return [visit for visit in self.visits if visit.status in statuses]

    def first_s(self, *statuses: int, percent: int) -> float:
        """A percentile of the time until the first byte."""
        times = [visit.first_s for visit in self.with_status(*statuses)]
        return quantiles(times, n=100)[percent - 1] if len(times) > 1 else times[0]


async def visit(http: httpx2.AsyncClient, model: str) -> Visit:
    """Ask for a stream and read it."""
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": True}
    sent = time.monotonic()
    async with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        first_s = time.monotonic() - sent
        text = await answer.aread()
    whole = text.endswith(b"data: [DONE]\n\n")
    return Visit(answer.status_code, answer.headers, first_s, whole)


async def visitors(stack: Stack, key: str, *, rate: float, seconds: float) -> Visitors:
    """``rate`` requests a second for so long; all of them, once each has its answer."""
    headers = {"Authorization": f"Bearer {key}"}
    limits = httpx2.Limits(max_connections=None)
    model, found = stack.settings.base_model_name, Visitors()
    began, asking = time.monotonic(), []
    async with httpx2.AsyncClient(
        base_url=stack.url, headers=headers, timeout=START_S, limits=limits
    ) as http:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            asking.append(asyncio.create_task(visit(http, model)))
        found.visits.extend(await asyncio.gather(*asking))
    return found
