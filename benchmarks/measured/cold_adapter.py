"""What the first request waits for whose adapter the engine does not know.

One client asks one adapter after the other, of twice as many as the engine keeps: each was made to
give way before it is its turn again, so its files are verified, read and put into a slot while the
request waits. They lie in the page cache. The same client asks one adapter that is in its slot.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from statistics import median

from benchmarks.benchmark import Benchmark, Claim, Figures, Form, Load
from benchmarks.served import Served, ask, served
from tunery import Tunery

KEPT = 6
SLOTS = 4
REQUESTS = 10
PROMPT = 64
_COLD = "TTFT of a cold adapter"
_WARM = "TTFT of a warm adapter"


class Asking:
    """One way of choosing the adapters."""

    def __init__(self, served: Served, named: str, models: Sequence[str]) -> None:
        self._served = served
        self._named = named
        self._cold = len(models) > KEPT
        self._order = cycle(models)
        self._draws = random.Random(named)  # noqa: S311 - a load is no secret

    def __call__(self) -> Figures:
        return {self._named: 1000 * median(asyncio.run(self._measure()))}

    async def _measure(self) -> list[float]:
        key = self._served.server.key
        waits = []
        async with self._served.clients() as clients:
            for model in islice(self._order, REQUESTS):
                if self._cold:
                    await asyncio.to_thread(self._assert_cold, model)
                one = ask(self._draws, key=key, model=model, prompt=PROMPT, tokens=1)
                waits.append((await clients.send(one)).ttft)
        return waits

    def _assert_cold(self, model: str) -> None:
        server = self._served.server
        with Tunery(base_url=f"{server.url}/v1", api_key=server.key) as client:
            if client.adapters.retrieve(model).residency != "unloaded":
                raise RuntimeError(f"the engine still holds {model}")


@contextmanager
def _open() -> Iterator[Sequence[Load]]:
    with served(TUNERY_MAX_LORAS=str(SLOTS), TUNERY_MAX_CPU_LORAS=str(KEPT)) as running:
        models = running.adapters([running.server.key] * (2 * KEPT))
        yield [Asking(running, _COLD, models[1:]), Asking(running, _WARM, models[:1])]


BENCHMARK = Benchmark(
    id="C1",
    title="The first request of an adapter",
    load=(
        f"the bundled model, an idle engine that keeps {KEPT} adapters, one client, "
        f"{REQUESTS} requests a round of {PROMPT} tokens in and 1 out, "
        "rank 16 on every linear layer"
    ),
    claims=(
        Claim(
            id="C1",
            says="median time to first token of an adapter that the engine does not know, "
            "against one in its slot",
            unit="ms",
            numerator=_COLD,
            denominator=_WARM,
            bar=1.5,
            moonshot=1.15,
        ),
        Claim(
            id="C1-added",
            says="the same as a difference",
            unit="ms",
            numerator=_COLD,
            denominator=_WARM,
            form=Form.DIFFERENCE,
            bar=60,
            moonshot=25,
        ),
    ),
    open=_open,
)
