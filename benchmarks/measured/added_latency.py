"""How much later an answer comes because it came through the gateway.

One client asks the gateway and the engine behind it, which computes nothing, for short answers that
are no streams, one after another on one connection. LiteLLM's proxy is asked the same.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.benchmark import Benchmark, Claim, Figures, Form, Load
from benchmarks.chats import Chats
from benchmarks.interval import percentile
from benchmarks.proxies import LITELLM, Endpoint, litellm_proxy, paced_engine, tunery_gateway

CALLS = 1000
WARM_UP = 50
TOKENS = 16


class Calls:
    """One client's calls of one endpoint."""

    def __init__(self, named: str, endpoint: Endpoint) -> None:
        self._named = named
        self._endpoint = endpoint

    def __call__(self) -> Figures:
        took = [1000 * seconds for seconds in asyncio.run(self._all())[WARM_UP:]]
        return {
            f"p50 of a call, {self._named}": percentile(took, 50),
            f"p99 of a call, {self._named}": percentile(took, 99),
        }

    async def _all(self) -> list[float]:
        async with Chats(self._endpoint) as chats:
            return [await chats.seconds(TOKENS) for _ in range(WARM_UP + CALLS)]


OURS, THEIRS, DIRECT = "through Tunery", f"through LiteLLM {LITELLM}", "direct"


@contextmanager
def _open() -> Iterator[Sequence[Load]]:
    with tunery_gateway() as ours, litellm_proxy() as theirs, paced_engine() as engine:
        yield [Calls(DIRECT, engine), Calls(OURS, ours), Calls(THEIRS, theirs)]


def _added(id: str, percent: str, bar: float, moonshot: float) -> Claim:
    return Claim(
        id=id,
        says=f"{percent} of a call through the gateway, less that of a call of the engine itself",
        unit="ms",
        numerator=f"{percent} of a call, {OURS}",
        denominator=f"{percent} of a call, {DIRECT}",
        form=Form.DIFFERENCE,
        bar=bar,
        moonshot=moonshot,
    )


BENCHMARK = Benchmark(
    id="G2",
    title="Latency that the gateway adds",
    load=(
        f"an engine that computes nothing, one connection, {CALLS} calls one after another, "
        f"100 words in and {TOKENS} out, no stream"
    ),
    claims=(
        _added("G2", "p50", bar=0.8, moonshot=0.4),
        _added("G2-p99", "p99", bar=2.0, moonshot=2.0),
        Claim(
            id="G2-peer",
            says="p50 of a call through the gateway, against LiteLLM's proxy",
            unit="ms",
            numerator=f"p50 of a call, {OURS}",
            denominator=f"p50 of a call, {THEIRS}",
            bar=0.2,
            moonshot=0.1,
        ),
    ),
    open=_open,
)
