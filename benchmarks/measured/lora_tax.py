"""What adapters cost the engine: beside vLLM without LoRA, and beside vLLM's own LoRA.

Three engines of the same model: vLLM without LoRA, started the usual way, which compiles the model;
Tunery's, with LoRA; and vLLM with its own LoRA. One computes at a time, the others are stopped.
They are asked without a gateway.
"""

import asyncio
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from pathlib import Path

import httpx2

from benchmarks.benchmark import Benchmark, Claim, Figures, Load
from benchmarks.engines import NO_PLUGINS, OURS, Engine, engine
from benchmarks.lora import write_adapter
from benchmarks.served import ask, ends
from benchmarks.streams import Clients
from tests.servers import MODEL_NAME
from tunery_server.config import BUNDLED_MODEL, default_home
from tunery_server.engine.vllm_http import ADAPTERS_PATH

ADAPTERS = 8
STREAMS = 8
PROMPT, TOKENS = 128, 64
LONG = 1024
PREFILLS = 2
NO_LORA, TUNERY, STOCK = "no LoRA", "Tunery", "vLLM's LoRA"


class Decode:
    """Tokens per second, of requests that take the adapters in turn."""

    def __init__(self, engine: Engine, named: str, models: Sequence[str], model: Path) -> None:
        self._engine = engine
        self._figure = f"output tokens per second, {named}"
        self._models = models
        self._banned = ends(model)
        self._draws = random.Random(named)  # noqa: S311 - a load is no secret

    def __call__(self) -> Figures:
        with self._engine.awake():
            return {self._figure: asyncio.run(self._measure())}

    async def _measure(self) -> float:
        asks = [
            ask(self._draws, key="", model=model, prompt=PROMPT, tokens=TOKENS)
            for model in islice(cycle(self._models), STREAMS)
        ]
        async with Clients(self._engine.url, banned=self._banned) as clients:
            answers = await clients.closed_loop(asks, streams=STREAMS)
        took = max(one.ended for one in answers) - min(one.due for one in answers)
        return TOKENS * len(answers) / took


class Prefill:
    """Prompt tokens per second, one prompt after the other."""

    def __init__(self, engine: Engine, named: str, model: str) -> None:
        self._engine = engine
        self._figure = f"prompt tokens per second, {named}"
        self._model = model
        self._draws = random.Random(named)  # noqa: S311 - a load is no secret

    def __call__(self) -> Figures:
        with self._engine.awake():
            return {self._figure: asyncio.run(self._measure())}

    async def _measure(self) -> float:
        asks = [
            ask(self._draws, key="", model=self._model, prompt=LONG, tokens=1)
            for _ in range(PREFILLS)
        ]
        async with Clients(self._engine.url, banned=()) as clients:
            answers = await clients.closed_loop(asks, streams=1)
        return LONG * len(answers) / sum(answer.ttft for answer in answers)


def _options(model: Path, *more: str) -> list[str]:
    same = ["--max-model-len", "2048", "--max-num-seqs", "64", "--kv-cache-memory-bytes", "1G"]
    return ["--model", str(model), "--served-model-name", MODEL_NAME, *same, *more]


def _with_lora(model: Path, *more: str) -> list[str]:
    slots = ["--max-loras", str(ADAPTERS), "--max-cpu-loras", str(ADAPTERS)]
    return _options(model, "--enable-lora", "--max-lora-rank", "16", *slots, *more)


def _load(engine: Engine, folder: Path) -> None:
    body = {"name": folder.name, "path": str(folder)}
    with engine.awake():
        httpx2.post(f"{engine.url}{ADAPTERS_PATH}", json=body, timeout=60).raise_for_status()


@contextmanager
def _open() -> Iterator[Sequence[Load]]:
    model = default_home() / "models" / BUNDLED_MODEL
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folders = [
            write_adapter(root / f"adapter-{seed}", model, seed=seed) for seed in range(ADAPTERS)
        ]
        named = [f"{folder.name}={folder}" for folder in folders]
        plain = stack.enter_context(engine(_options(model), NO_PLUGINS))
        ours = stack.enter_context(engine(_with_lora(model), OURS))
        stock = stack.enter_context(engine(_with_lora(model, "--lora-modules", *named), NO_PLUGINS))
        for folder in folders:
            _load(ours, folder)
        names = [folder.name for folder in folders]
        yield [
            Decode(plain, NO_LORA, [MODEL_NAME], model),
            Decode(ours, f"{TUNERY}, no adapter", [MODEL_NAME], model),
            *(Decode(ours, f"{TUNERY}, {k} in turn", names[:k], model) for k in (1, 4, 8)),
            Decode(stock, f"{STOCK}, 8 in turn", names, model),
            Prefill(plain, NO_LORA, MODEL_NAME),
            Prefill(ours, TUNERY, names[0]),
            Prefill(stock, STOCK, names[0]),
        ]


def _decode(id: str, case: str, bar: float, moonshot: float, against: str = NO_LORA) -> Claim:
    return Claim(
        id=id,
        says=f"decoding with {case}, against {against}",
        unit="tokens/s",
        numerator=f"output tokens per second, {TUNERY}, {case}",
        denominator=f"output tokens per second, {against}",
        bar=bar,
        moonshot=moonshot,
        more_is_better=True,
    )


def _prefill(id: str, against: str, bar: float, moonshot: float) -> Claim:
    return Claim(
        id=id,
        says=f"reading a prompt with an adapter, against {against}",
        unit="tokens/s",
        numerator=f"prompt tokens per second, {TUNERY}",
        denominator=f"prompt tokens per second, {against}",
        bar=bar,
        moonshot=moonshot,
        more_is_better=True,
    )


BENCHMARK = Benchmark(
    id="L1",
    title="What adapters cost the engine",
    load=(
        f"the bundled model, {STREAMS} streams of {PROMPT} tokens in and {TOKENS} out; prompts of "
        f"{LONG} tokens; {ADAPTERS} slots, rank 16 on every linear layer"
    ),
    claims=(
        _decode("L1", "8 in turn", 0.60, 0.85),
        _decode("L1-4", "4 in turn", 0.60, 0.85),
        _decode("L1-1", "1 in turn", 0.60, 0.85),
        _decode("L1-stock", "8 in turn", 1.0, 2.0, f"{STOCK}, 8 in turn"),
        _prefill("L2", NO_LORA, 0.85, 0.95),
        _prefill("L2-stock", STOCK, 1.0, 3.0),
        _decode("L3", "no adapter", 0.88, 0.98),
    ),
    open=_open,
)
