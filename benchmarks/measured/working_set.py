"""What it costs when four times as many adapters are in use as the engine has slots.

Clients in a closed loop ask for a random adapter each time: of as many as there are slots, of four
times as many, and of those in a fixed order, the worst for a cache that evicts the least recently
used. All adapters lie in the engine's main memory from the start, so what is measured is the way
from there into a slot, and the order in which adapters are let in.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice

from benchmarks.benchmark import Benchmark, Claim, Figures, Load
from benchmarks.interval import percentile
from benchmarks.served import Served, ask, served
from benchmarks.streams import Ask

SLOTS = 8
STREAMS = 8
REQUESTS = 32
PROMPT = 16
TOKENS = 16


class WorkingSet:
    """One way of choosing adapters."""

    def __init__(
        self, served: Served, named: str, models: Sequence[str], *, shuffled: bool
    ) -> None:
        self._served = served
        self._named = named
        self._models = models
        self._draws = random.Random(named)  # noqa: S311 - a load is no secret
        self._order = self._random() if shuffled else cycle(models)

    def __call__(self) -> Figures:
        return asyncio.run(self._measure())

    async def _measure(self) -> Figures:
        async with self._served.clients() as clients:
            answers = await clients.closed_loop(self._asks(), streams=STREAMS)
        began = min(answer.due for answer in answers)
        took = max(answer.ended for answer in answers) - began
        return {
            f"requests per second, {self._named}": len(answers) / took,
            f"p99 TTFT, {self._named}": percentile([answer.ttft for answer in answers], 99),
        }

    def _asks(self) -> Iterator[Ask]:
        key = self._served.server.key
        for model in islice(self._order, REQUESTS):
            yield ask(self._draws, key=key, model=model, prompt=PROMPT, tokens=TOKENS)

    def _random(self) -> Iterator[str]:
        while True:
            yield self._draws.choice(self._models)


ONCE, UNIFORM, ROBIN = (
    f"{SLOTS} adapters",
    f"{4 * SLOTS} adapters at random",
    f"{4 * SLOTS} adapters in turn",
)


@contextmanager
def _open() -> Iterator[Sequence[Load]]:
    with served(TUNERY_MAX_LORAS=str(SLOTS)) as running:
        models = running.adapters([running.server.key] * 4 * SLOTS)
        yield [
            WorkingSet(running, ONCE, models[:SLOTS], shuffled=True),
            WorkingSet(running, UNIFORM, models, shuffled=True),
            WorkingSet(running, ROBIN, models, shuffled=False),
        ]


def _rate(id: str, case: str) -> Claim:
    return Claim(
        id=id,
        says=f"throughput of {case} on {SLOTS} slots, against {ONCE}",
        unit="requests/s",
        numerator=f"requests per second, {case}",
        denominator=f"requests per second, {ONCE}",
        bar=0.60,
        moonshot=0.85,
        more_is_better=True,
    )


def _wait(id: str, case: str) -> Claim:
    return Claim(
        id=id,
        says=f"p99 time to first token of {case} on {SLOTS} slots, against {ONCE}",
        unit="s",
        numerator=f"p99 TTFT, {case}",
        denominator=f"p99 TTFT, {ONCE}",
        bar=5.0,
        moonshot=5.0,
    )


BENCHMARK = Benchmark(
    id="L5",
    title="Working set of four times the slots",
    load=(
        f"the bundled model, {SLOTS} slots, {STREAMS} clients in a closed loop, "
        f"{REQUESTS} requests a round of {PROMPT} tokens in and {TOKENS} out, "
        "rank 16 on every linear layer"
    ),
    claims=(
        _rate("L5", UNIFORM),
        _rate("L5-robin", ROBIN),
        _wait("L5-ttft", UNIFORM),
        _wait("L5-robin-ttft", ROBIN),
    ),
    open=_open,
)
