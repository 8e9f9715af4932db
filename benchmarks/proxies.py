"""Gateways before an engine that computes nothing: Tunery's own, and LiteLLM's proxy."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import orjson

from benchmarks.peers import python_with
from tests.faults.piece import Piece
from tests.faults.stack import started
from tests.queues import until
from tests.servers import free_port
from tunery_server.config import BUNDLED_MODEL, default_home

LITELLM = "1.104.5"
MODEL = "tiny"
_KEY = "sk-benchmark"
_START_S = 120.0
_PLENTY = 1_000_000_000
"""A limit that is counted, and never reached."""
_QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the internet for prices
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "DISABLE_ADMIN_UI": "True",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One process that answers chats."""

    url: str
    key: str
    pid: int

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all threads of the process so far, to the nanosecond.

        The clock's number is that of clock_getcpuclockid(3): the process's, scheduled time.
        """
        return time.clock_gettime(~self.pid << 3 | 2)


@contextmanager
def tunery_gateway() -> Iterator[Endpoint]:
    """The gateway as it is in service: keys, limits in Valkey, usage in the record, metrics."""
    model = default_home() / "models" / BUNDLED_MODEL
    with (
        tempfile.TemporaryDirectory() as folder,
        started(Path(folder), model, engine="benchmarks.paced_engine") as stack,
    ):
        key = stack.new_key(
            "tenant",
            requests_per_minute=_PLENTY,
            tokens_per_minute=_PLENTY,
            concurrent_requests=_PLENTY,
        )
        stack.start_gateway()
        until(lambda: stack.http().get("/readyz").is_success, within_s=_START_S)
        yield Endpoint(url=stack.url, key=key, pid=stack.gateway.pid)


@contextmanager
def litellm_proxy() -> Iterator[Endpoint]:
    """LiteLLM's proxy with one worker and one key, without a database, before such an engine."""
    python, port = python_with(f"litellm[proxy]=={LITELLM}"), free_port()
    with tempfile.TemporaryDirectory() as folder, paced_engine() as engine:
        config = Path(folder) / "config.yaml"
        config.write_bytes(orjson.dumps(_config(engine.url)))  # JSON is YAML
        command = [python.with_name("litellm"), "--config", config, "--host", "127.0.0.1"]
        options = ["--port", port, "--num_workers", 1, "--telemetry", "False"]
        with _running("litellm", [*command, *options], port, "/health/liveliness") as pid:
            yield Endpoint(url=f"http://127.0.0.1:{port}", key=_KEY, pid=pid)


@contextmanager
def paced_engine() -> Iterator[Endpoint]:
    """The engine itself."""
    python, port = Path(sys.executable), free_port()
    with _running(
        "engine", [python, "-m", "benchmarks.paced_engine", port], port, "/health"
    ) as pid:
        yield Endpoint(url=f"http://127.0.0.1:{port}", key=_KEY, pid=pid)


def _config(engine: str) -> dict[str, object]:
    deployment = {"model": f"openai/{MODEL}", "api_base": f"{engine}/v1", "api_key": _KEY}
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": deployment}],
        "general_settings": {"master_key": _KEY},
    }


@contextmanager
def _running(name: str, command: Sequence[object], port: int, healthy: str) -> Iterator[int]:
    """The process, from when it answers until the context is left."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **_QUIET}
        piece = Piece(name, [str(word) for word in command], environment, Path(folder) / "log")
        piece.start()
        try:
            until(lambda: _answers(piece, f"http://127.0.0.1:{port}{healthy}"), within_s=_START_S)
            yield piece.pid
        finally:
            piece.kill()


def _answers(piece: Piece, url: str) -> bool:
    if not piece.running:
        raise RuntimeError(f"{piece.name} has ended:\n{piece.log[-3000:]}")
    with contextlib.suppress(httpx2.TransportError):
        return httpx2.get(url).is_success
    return False
