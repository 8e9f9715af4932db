"""Whether a tenant that asks for more than there is makes the others wait.

Ten tenants with an adapter each share two slots. Requests come at random (Poisson), a fifth more of
them than the engine can answer, nine tenths of them from one tenant. The other nine stay far below
their share, so they should not wait: the time to their first token is held against the hot one's,
which pays for its own queue. That queue grows for as long as the load goes on, so the denominator
is of ``SECONDS`` seconds and no property of the server; the numerator is.

A random model of two layers answers hundreds of requests a minute on one core, so that a 99th
percentile is more than the worst of a few. What it computes does not matter to who waits.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from benchmarks.benchmark import Benchmark, Claim, Figures, Load
from benchmarks.interval import percentile
from benchmarks.served import Served, ask, served, tiny_model
from benchmarks.streams import Ask, Clients

COLD = 9
SLOTS = 2
OVERLOAD = 1.2
HOT_SHARE = 0.9
SECONDS = 25.0
PROMPT = 32
TOKENS = 32
_CALIBRATION = 192
"""Requests of the hot tenant alone, to find out what the engine can do."""
_STREAMS = 64


class Mix:
    """The hot tenant, first, and the cold ones."""

    def __init__(self, served: Served, keys: Sequence[str], models: Sequence[str]) -> None:
        self._served = served
        self._tenants = list(zip(keys, models, strict=True))
        self._draws = random.Random(0)  # noqa: S311 - a load is no secret
        self._capacity: float | None = None

    def __call__(self) -> Figures:
        return asyncio.run(self._measure())

    async def _measure(self) -> Figures:
        async with self._served.clients() as clients:
            if self._capacity is None:
                self._capacity = await self._requests_per_second(clients)
            answers = await clients.open_loop(self._arrivals(OVERLOAD * self._capacity))
        hot = self._tenants[0][0]
        cold = [answer for answer in answers if answer.ask.key != hot]
        if refusals := [answer.refusal for answer in cold if answer.refusal]:
            raise RuntimeError(f"{len(refusals)} requests of cold tenants refused: {refusals[0]}")
        waits = [answer.ttft for answer in answers if answer.ask.key == hot and not answer.refusal]
        return {
            "p99 TTFT of the cold tenants": percentile([answer.ttft for answer in cold], 99),
            "p99 TTFT of the hot tenant": percentile(waits, 99),
            "requests per second, offered": len(answers) / SECONDS,
        }

    async def _requests_per_second(self, clients: Clients) -> float:
        asks = islice(self._of(0), _CALIBRATION)
        answers = await clients.closed_loop(asks, streams=_STREAMS)
        began = min(answer.due for answer in answers)
        return len(answers) / (max(answer.ended for answer in answers) - began)

    def _arrivals(self, rate: float) -> Iterator[tuple[float, Ask]]:
        """Seconds from now, and who asks then."""
        second = self._draws.expovariate(rate)
        while second < SECONDS:
            hot = self._draws.random() < HOT_SHARE
            yield second, next(self._of(0 if hot else self._draws.randint(1, COLD)))
            second += self._draws.expovariate(rate)

    def _of(self, tenant: int) -> Iterator[Ask]:
        key, model = self._tenants[tenant]
        while True:
            yield ask(self._draws, key=key, model=model, prompt=PROMPT, tokens=TOKENS)


@contextmanager
def _open() -> Iterator[Sequence[Load]]:
    with (
        tiny_model() as model,
        served(model, TUNERY_MAX_LORAS=str(SLOTS), TUNERY_MAX_MODEL_LEN="512") as running,
    ):
        keys = running.keys(1 + COLD)
        yield [Mix(running, keys, running.adapters(keys))]


BENCHMARK = Benchmark(
    id="F1",
    title="Cold tenants beside a hot one",
    load=(
        f"a random model of two layers, {SLOTS} slots, {1 + COLD} tenants with an adapter each; "
        f"{OVERLOAD} times what the engine can answer for {SECONDS:.0f} s a round, {HOT_SHARE:.0%} "
        f"of it from one tenant; {PROMPT} tokens in and {TOKENS} out"
    ),
    claims=(
        Claim(
            id="F1",
            says="p99 time to first token of the cold tenants, against the hot one's",
            unit="s",
            numerator="p99 TTFT of the cold tenants",
            denominator="p99 TTFT of the hot tenant",
            bar=1.0,
            moonshot=0.25,
        ),
    ),
    open=_open,
)
