"""How long running streams stand still while adapters are loaded beside them.

Four clients stream from the base model. Twice a second somebody asks an adapter that the engine
does not know, by a prompt of one token for an answer of one: nearly all of what that takes is the
load. The largest gap between two tokens of a stream is held against the median gap.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, pairwise
from statistics import median

from benchmarks.benchmark import Benchmark, Claim, Figures, Load
from benchmarks.served import Served, ask, served
from benchmarks.streams import Answer, Ask, Clients
from tests.servers import MODEL_NAME

KEPT = 6
SLOTS = 4
STREAMS = 4
PROMPT = 16
TOKENS = 150
LOADS_PER_S = 2.0
_WORST = "largest gap while adapters load"
_USUAL = "median gap"


class Beside:
    """Streams of the base model, and loads beside them until they end."""

    def __init__(self, served: Served, models: Sequence[str]) -> None:
        self._served = served
        self._order = cycle(models)
        self._draws = random.Random(0)  # noqa: S311 - a load is no secret

    def __call__(self) -> Figures:
        return asyncio.run(self._measure())

    async def _measure(self) -> Figures:
        async with self._served.clients() as clients:
            loads = asyncio.create_task(self._load(clients))
            asks = [self._ask(MODEL_NAME, PROMPT, TOKENS) for _ in range(STREAMS)]
            answers = await clients.closed_loop(asks, streams=STREAMS)
            loads.cancel()
            await asyncio.gather(loads, return_exceptions=True)
        gaps = [1000 * gap for answer in answers for gap in _gaps(answer)]
        return {_WORST: max(gaps), _USUAL: median(gaps)}

    async def _load(self, clients: Clients) -> None:
        """One load each half second, as long as the last one has come to its end."""
        while True:
            pace = asyncio.create_task(asyncio.sleep(1 / LOADS_PER_S))
            await clients.send(self._ask(next(self._order), 1, 1))
            await pace

    def _ask(self, model: str, prompt: int, tokens: int) -> Ask:
        key = self._served.server.key
        return ask(self._draws, key=key, model=model, prompt=prompt, tokens=tokens)


def _gaps(answer: Answer) -> list[float]:
    """Seconds between tokens, without the first few, while the others are still being prefilled."""
    return [later - sooner for sooner, later in pairwise(answer.arrivals[STREAMS:])]


@contextmanager
def _open() -> Iterator[Sequence[Load]]:
    with served(TUNERY_MAX_LORAS=str(SLOTS), TUNERY_MAX_CPU_LORAS=str(KEPT)) as running:
        yield [Beside(running, running.adapters([running.server.key] * (2 * KEPT)))]


BENCHMARK = Benchmark(
    id="C2",
    title="Running streams while adapters load",
    load=(
        f"the bundled model, {STREAMS} streams of {TOKENS} tokens, {LOADS_PER_S:g} adapters a "
        "second that the engine does not know, rank 16 on every linear layer"
    ),
    claims=(
        Claim(
            id="C2",
            says="largest gap between tokens of running streams while adapters load, "
            "against their median gap",
            unit="ms",
            numerator=_WORST,
            denominator=_USUAL,
            bar=1.5,
            moonshot=1.15,
        ),
    ),
    open=_open,
)
