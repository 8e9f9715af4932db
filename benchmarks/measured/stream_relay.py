"""What it costs to pass on one chunk of a stream, beside LiteLLM's proxy.

CPU time of the gateway's process, all that an answer takes included, by the chunks that came
through: for Tunery with keys, limits, usage and metrics, for LiteLLM with a key and nothing more.
The engine behind both computes nothing.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.benchmark import Benchmark, Claim, Figures, Load
from benchmarks.chats import Chats
from benchmarks.proxies import LITELLM, Endpoint, litellm_proxy, tunery_gateway

STREAMS = 16
CHUNKS = 128
TIMES = 3


class Relay:
    """The same streams through one gateway."""

    def __init__(self, named: str, endpoint: Endpoint) -> None:
        self._named = named
        self._endpoint = endpoint

    def __call__(self) -> Figures:
        asyncio.run(self._pass_on(1))
        before = self._endpoint.cpu_s
        asyncio.run(self._pass_on(TIMES))
        spent = self._endpoint.cpu_s - before
        return {f"CPU per chunk, {self._named}": 1e6 * spent / (TIMES * STREAMS * CHUNKS)}

    async def _pass_on(self, times: int) -> None:
        async with Chats(self._endpoint) as chats:
            for _ in range(times):
                await chats.streams(STREAMS, CHUNKS)


OURS, THEIRS = "Tunery", f"LiteLLM {LITELLM}"


@contextmanager
def _open() -> Iterator[Sequence[Load]]:
    with tunery_gateway() as ours, litellm_proxy() as theirs:
        yield [Relay(OURS, ours), Relay(THEIRS, theirs)]


BENCHMARK = Benchmark(
    id="G1",
    title="CPU time of the gateway for each chunk of a stream",
    load=(
        f"an engine that computes nothing, {STREAMS} streams of {CHUNKS} chunks at once, "
        "a chunk every 10 ms"
    ),
    claims=(
        Claim(
            id="G1",
            says="CPU time of the gateway for each chunk, against LiteLLM's proxy",
            unit="µs",
            numerator=f"CPU per chunk, {OURS}",
            denominator=f"CPU per chunk, {THEIRS}",
            bar=0.10,
            moonshot=0.04,
        ),
    ),
    open=_open,
)
