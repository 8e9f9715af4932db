"""How much of what the engine can do is left when it is asked through the gateway.

Clients in a closed loop ask the gateway, and the same vLLM on its own socket. On two cores all of
them share what there is: whatever the gateway takes, the engine does not have.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from benchmarks.benchmark import Benchmark, Claim, Figures, Load
from benchmarks.served import Served, ask, served
from benchmarks.streams import Ask, Clients
from tests.servers import MODEL_NAME

STREAMS = 8
REQUESTS = 32
PROMPT = 128
TOKENS = 64


class Goodput:
    """The same clients, whomever they ask."""

    def __init__(self, named: str, clients: Callable[[], Clients], key: str) -> None:
        self._named = named
        self._clients = clients
        self._key = key
        self._draws = random.Random(named)  # noqa: S311 - a load is no secret

    def __call__(self) -> Figures:
        return asyncio.run(self._measure())

    async def _measure(self) -> Figures:
        async with self._clients() as clients:
            answers = await clients.closed_loop(self._asks(), streams=STREAMS)
        began = min(answer.due for answer in answers)
        took = max(answer.ended for answer in answers) - began
        return {f"tokens per second, {self._named}": len(answers) * TOKENS / took}

    def _asks(self) -> Iterator[Ask]:
        for _ in range(REQUESTS):
            yield ask(self._draws, key=self._key, model=MODEL_NAME, prompt=PROMPT, tokens=TOKENS)


THROUGH, DIRECT = "through the gateway", "from the engine"


@contextmanager
def _open() -> Iterator[Sequence[Load]]:
    with served() as running:
        yield [_through(running), Goodput(DIRECT, running.engine_clients, running.engine_key)]


def _through(running: Served) -> Goodput:
    return Goodput(THROUGH, running.clients, running.server.key)


BENCHMARK = Benchmark(
    id="G3",
    title="Throughput through the gateway",
    load=(
        f"the bundled model, {STREAMS} clients in a closed loop, {REQUESTS} requests a round of "
        f"{PROMPT} tokens in and {TOKENS} out"
    ),
    claims=(
        Claim(
            id="G3",
            says="output tokens per second through the gateway, against the same engine alone",
            unit="tokens/s",
            numerator=f"tokens per second, {THROUGH}",
            denominator=f"tokens per second, {DIRECT}",
            bar=0.97,
            moonshot=0.99,
            more_is_better=True,
        ),
    ),
    open=_open,
)
